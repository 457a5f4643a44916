/* Passphrases and questions. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "core/sign.h"
#include "ctl/ctl.h"

/* Up to the end of the line, which is not part of it.  What is longer is an error, never cut. */
static int read_line(int fd, struct buf *ret, struct err *err)
{
	uint8_t *p = buf_reserve(ret, PASSPHRASE_MOST + 1);
	uint8_t one;
	ssize_t n = 0;

	if (!p)
		return err_set(err, ERR_NOMEM, "out of memory");
	ret->n = 0;
	while ((n = read(fd, &one, 1)) == 1 && one != '\n') {
		if (ret->n == PASSPHRASE_MOST)
			return err_set(err, ERR_USAGE, "the passphrase is longer than %u bytes", PASSPHRASE_MOST);
		p[ret->n++] = one;
	}
	while (ret->n && p[ret->n - 1] == '\r')
		ret->n--;
	return n < 0 ? err_set(err, ERR_IO, "the passphrase cannot be read: %s", strerror(errno)) : 0;
}

static int ask(int fd, const char *question, struct buf *ret, struct err *err)
{
	struct termios was, quiet;
	int r;

	if (tcgetattr(fd, &was))
		return err_set(err, ERR_IO, "the terminal cannot be asked: %s", strerror(errno));
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	dprintf(fd, "%s", question);
	tcsetattr(fd, TCSAFLUSH, &quiet);
	r = read_line(fd, ret, err);
	tcsetattr(fd, TCSAFLUSH, &was);
	dprintf(fd, "\n");
	return r;
}

static int ask_terminal(const struct ctl *c, bool new, struct buf *ret, struct err *err)
{
	_cleanup_(fd_close) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	_cleanup_(buf_release) struct buf again = { 0 };
	int r;

	if (fd < 0)
		return err_set(err, ERR_USAGE, "there is no terminal to ask for the passphrase; give --passphrase-file");
	r = ask(fd, ctl_words(c, "Passphrase: ", "口令："), ret, err);
	if (!r && new)
		r = ask(fd, ctl_words(c, "Once more: ", "再输入一次："), &again, err);
	if (!r && new && !slice_equal(buf_slice(ret), buf_slice(&again)))
		r = err_set(err, ERR_USAGE, "the two passphrases differ");
	if (again.p)
		bytes_wipe(again.p, again.room);
	return r;
}

int passphrase_read(const struct ctl *c, const char *file, bool new, struct buf *ret, struct err *err)
{
	_cleanup_(fd_close) int fd = -1;
	int r;

	if (!file)
		r = ask_terminal(c, new, ret, err);
	else if (!strcmp(file, "-"))
		r = read_line(STDIN_FILENO, ret, err);
	else if ((fd = open(file, O_RDONLY | O_CLOEXEC)) < 0)
		r = err_set(err, ERR_IO, "%s: cannot open: %s", file, strerror(errno));
	else
		r = read_line(fd, ret, err);
	if (!r && ret->n < PASSPHRASE_LEAST)
		r = err_set(err, ERR_USAGE, "the passphrase has %zu bytes; at least %u are needed", ret->n, PASSPHRASE_LEAST);
	return r;
}

int ctl_confirm(const struct ctl *c, const char *english, const char *chinese, struct err *err)
{
	char answer[16] = "";

	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_REFUSED, "nothing has been changed; give --yes where there is no terminal to ask");
	fprintf(stderr, "%s [y/N] ", ctl_words(c, english, chinese));
	if (!fgets(answer, sizeof(answer), stdin) || (strcmp(answer, "y\n") && strcmp(answer, "Y\n") && strcmp(answer, "yes\n")))
		return err_set(err, ERR_REFUSED, "nothing has been changed");
	return 0;
}
