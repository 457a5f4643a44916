/* Runs a fuzz target over the files of its corpus without libFuzzer: replay-fuzz_X FOLDER_OR_FILE ... */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct err e;

	if (file_read(path, (size_t)64 << 20, &b, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	/* A copy of exactly this size, so that the sanitizer sees a read behind it. */
	uint8_t *copy = malloc(MAX(b.n, 1u));
	if (!copy)
		return -1;
	for (size_t i = 0; i < b.n; i++)
		copy[i] = b.p[i];
	LLVMFuzzerTestOneInput(copy, b.n);
	free(copy);
	return 0;
}

static void replay(const char *path, int *passed, int *failed)
{
	DIR *folder = opendir(path);

	if (!folder) {
		*(replay_file(path) ? failed : passed) += 1;
		return;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		_cleanup_(free_pointer) char *name = path_join(path, entry->d_name);
		*(replay_file(name) ? failed : passed) += 1;
	}
	closedir(folder);
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0;

	for (int i = 1; i < argc; i++)
		replay(argv[i], &passed, &failed);
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
