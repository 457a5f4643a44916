# Terrace.  `make` builds, `make check` is the whole test, `make demo` shows it; `make help` lists the rest.
# One file, not recursive: sources are found by folder, so a new .c file needs no line here.
VERSION := 0.1.0
PREFIX  ?= /usr
DESTDIR ?=
JOBS    ?= 2
O       ?=

# ---- packages (Debian 12 names) ------------------------------------------------------------------------------------
DEPS_BUILD := gcc make pkg-config libc6-dev libsqlite3-dev libcurl4-gnutls-dev libmicrohttpd-dev libgnutls28-dev \
              libsodium-dev zlib1g-dev libconfuse-dev libjansson-dev libsystemd-dev
DEPS_DEMO  := python3 sqlite3
DEPS_BENCH := $(DEPS_DEMO) valgrind
DEPS_TEST  := $(DEPS_DEMO) libcmocka-dev scdoc cppcheck clang libclang-rt-dev clang-tidy systemd procps
LIBRARIES  := sqlite3 libcurl libmicrohttpd gnutls libsodium zlib libconfuse jansson libsystemd

# ---- modes: plain, SAN=1 (ASan, UBSan), FUZZ=1 (clang, libFuzzer) ----------------------------------------------------
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
ifdef SAN
BUILD  := $(O)build-san
SUFFIX := -san
MODE   := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
export ASAN_OPTIONS  := detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS := print_stacktrace=1
else ifdef FUZZ
BUILD  := $(O)build-fuzz
CC     := clang
MODE   := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
else
BUILD  := $(O)build
MODE   := -O2 -D_FORTIFY_SOURCE=2
endif
ifeq ($(origin CC),default)
CC := gcc
endif
RESULTS := $(O)build/results
export BUILD RESULTS NO_SKIP

# ---- flags -----------------------------------------------------------------------------------------------------------
PROTECT := -fstack-protector-strong -fPIE $(if $(filter x86_64 i%86,$(shell uname -m)),-fcf-protection)
# Warnings are judged in the plain build; other modes and compilers have false ones of their own.
WARN    := $(if $(FUZZ),-w,-Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wcast-qual) \
           $(if $(SAN)$(FUZZ),,$(if $(filter 1,$(WERROR)),-Werror))
PKG_FLAGS  = $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null)
TEST_LIBS  = $(shell pkg-config --libs cmocka 2>/dev/null)
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -DTERRACE_VERSION='"$(VERSION)"' -Iinclude $(WARN) -g $(MODE) $(PROTECT) \
              $(PKG_FLAGS) $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now,--as-needed $(MODE) $(LDFLAGS)
LINK_LIBS := $(PKG_LIBS) -lpthread -lm

# ---- what there is ---------------------------------------------------------------------------------------------------
sources = $(sort $(wildcard $(1)))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

FLOORS    := base core store engine link app
MAIN      := $(wildcard daemon/app/main.c)
CTL_MAIN  := $(wildcard daemon/ctl/main.c)
LIB_SRC   := $(filter-out daemon/app/main.c,$(call sources,$(FLOORS:%=daemon/%/*.c)))
CTL_SRC   := $(filter-out daemon/ctl/main.c,$(call sources,daemon/ctl/*.c))
STEPS     := $(call sources,schema/state/*.sql)
GEN_SRC   := $(BUILD)/gen/schema_state.c
UNIT_SRC  := $(call sources,tests/unit/test_*.c)
HELP_SRC  := $(call sources,tests/lib/*.c)
SIM_SRC   := $(call sources,tests/sim/*.c)
VEC_SRC   := $(call sources,tests/vectors/*.c)
FUZZ_SRC  := $(call sources,tests/fuzz/fuzz_*.c)
BENCH_SRC := $(call sources,tests/bench/*.c)
MAN_SRC   := $(call sources,daemon/man/*.scd)

PROGRAMS  := $(if $(MAIN),$(BUILD)/terraced) $(if $(CTL_MAIN),$(BUILD)/terracectl)
HAVE_CMOCKA := $(shell pkg-config --exists cmocka 2>/dev/null && echo 1)
UNITS     := $(if $(HAVE_CMOCKA),$(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%))
SIM       := $(if $(SIM_SRC),$(BUILD)/tests/sim)
VECS      := $(VEC_SRC:tests/vectors/%.c=$(BUILD)/tests/vectors-%)
REPLAYS   := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/tests/replay-%)
FUZZERS   := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
BENCHES   := $(BENCH_SRC:tests/bench/%.c=$(BUILD)/bench/%)
MANS      := $(if $(shell command -v scdoc),$(MAN_SRC:daemon/man/%.scd=$(BUILD)/man/%))
LIB       := $(BUILD)/libterrace.a
CTL_LIB   := $(if $(CTL_SRC),$(BUILD)/libctl.a)
TEST_LIB  := $(if $(HELP_SRC),$(BUILD)/libtest.a)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: measuring all tests help deps check check-deep units vectors sim live sanitize fuzz lint lint-deep demo bench mutants \
        install uninstall clean FORCE

all: $(LIB) $(PROGRAMS) $(MANS)
tests: $(UNITS) $(SIM) $(VECS) $(REPLAYS)

help:
	@echo 'make            build (build/terraced, build/terracectl)        make SAN=1   with ASan and UBSan (build-san/)'
	@echo 'make check      install what is missing, build, run every test  make check-deep   the same, longer'
	@echo 'make demo       a county, two townships, their villages         SEED=n  KEEP=1'
	@echo 'make units vectors sim live sanitize fuzz lint                  one stage of check'
	@echo 'make bench, bench-NAME   measure (tests/bench/bench_NAME)       make mutants   can the vectors fail?'
	@echo 'make install DESTDIR= PREFIX=/usr, uninstall, clean, deps      O=FOLDER/ builds there'

# ---- building --------------------------------------------------------------------------------------------------------
GOALS_WITHOUT_LIBRARIES := check check-deep demo deps clean help uninstall lint
ifneq ($(filter-out $(GOALS_WITHOUT_LIBRARIES),$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell pkg-config --exists $(LIBRARIES) 2>/dev/null && echo 1),1)
$(error libraries are missing; `make deps` installs them, or says how)
endif
endif

# Rebuilds everything when flags or version change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(subst ','\'',$(ALL_CFLAGS) $(ALL_LDFLAGS))' | cmp -s - $@ || \
	 printf '%s\n' '$(CC) $(subst ','\'',$(ALL_CFLAGS) $(ALL_LDFLAGS))' >$@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALL_CFLAGS) -Itests/lib -MMD -MP -c $< -o $@

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The list of files is a prerequisite of its own, so that a step taken away is noticed too.
$(BUILD)/gen/steps: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(STEPS)' | cmp -s - $@ || printf '%s\n' '$(STEPS)' >$@

$(BUILD)/gen/schema_state.c: schema/embed.sh $(BUILD)/gen/steps $(STEPS)
	@schema/embed.sh $(STEPS) >$@

archive = rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
link    = mkdir -p $(@D) && echo "  LD $@" && $(CC) $(ALL_LDFLAGS) $(filter %.o %.a,$^) -o $@ $(1) $(LINK_LIBS)

$(LIB): $(call objects,$(LIB_SRC)) $(GEN_SRC:$(BUILD)/gen/%.c=$(BUILD)/obj/gen/%.o) $(BUILD)/lib-list
	@$(archive)
$(BUILD)/libctl.a: $(call objects,$(CTL_SRC)) $(BUILD)/lib-list
	@$(archive)
$(BUILD)/lib-list: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(LIB_SRC) $(CTL_SRC)' | cmp -s - $@ || printf '%s\n' '$(LIB_SRC) $(CTL_SRC)' >$@
$(BUILD)/libtest.a: $(call objects,$(HELP_SRC))
	@$(archive)

$(BUILD)/terraced: $(call objects,$(MAIN)) $(LIB)
	@$(call link)
$(BUILD)/terracectl: $(call objects,$(CTL_MAIN)) $(CTL_LIB) $(LIB)
	@$(call link)
# The test of short memory gives our own code an allocator that fails as told.
$(BUILD)/tests/test_memory: private ALL_LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,--wrap=strdup,--wrap=strndup
$(BUILD)/tests/test_%: $(BUILD)/obj/tests/unit/test_%.o $(TEST_LIB) $(CTL_LIB) $(LIB)
	@$(call link,$(TEST_LIBS))
$(BUILD)/tests/sim: $(call objects,$(SIM_SRC)) $(TEST_LIB) $(CTL_LIB) $(LIB)
	@$(call link)
$(BUILD)/tests/vectors-%: $(BUILD)/obj/tests/vectors/%.o $(TEST_LIB) $(CTL_LIB) $(LIB)
	@$(call link,$(TEST_LIBS))
$(BUILD)/tests/replay-%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(TEST_LIB) $(CTL_LIB) $(LIB)
	@$(call link)
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(TEST_LIB) $(CTL_LIB) $(LIB)
	@$(call link,-fsanitize=fuzzer)
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(TEST_LIB) $(CTL_LIB) $(LIB)
	@$(call link,$(TEST_LIBS))

$(BUILD)/man/%: daemon/man/%.scd
	@mkdir -p $(@D)
	@scdoc <$< >$@

# ---- testing: each stage ends with `NAME: N passed, N failed` and leaves its numbers in build/results -------------------
CHECK_STAGES := units vectors sim live sanitize fuzz lint
DEEP_STAGES  := units vectors mutants sim live sanitize fuzz lint-deep
CASES        ?= 50
SIM_SEEDS    ?= 200
FUZZ_SECONDS ?= 5
UNIT_SECONDS ?= 120
STAGE        := tests/lib/stage.sh
export VECTORS := $(O)build/vectors

deps:
	@tests/lib/deps.sh install '$(DEPS_BUILD)' '$(DEPS_TEST)'

check:
	+@tests/lib/deps.sh check '$(DEPS_BUILD)' '$(DEPS_TEST)' && MAKE='$(MAKE)' tests/lib/check.sh $(CHECK_STAGES)

check-deep:
	+@tests/lib/deps.sh check '$(DEPS_BUILD)' '$(DEPS_TEST)' && MAKE='$(MAKE) CASES=1000 SIM_SEEDS=1000 SIM_LARGE=5 FUZZ_SECONDS=60 UNIT_SECONDS=1200' CRASH_ALL=1 \
	  tests/lib/check.sh $(DEEP_STAGES)

# The model's cases for the rule, CASES of every clause; the programs find them in $VECTORS/rule.json.
RULE_CASES := $(if $(wildcard tests/model/authority_model.py),$(VECTORS)/rule-$(CASES).json)
$(VECTORS)/rule-%.json: $(wildcard tests/model/*.py)
	@mkdir -p $(@D)
	@python3 tests/model/authority_model.py vectors $* >$@

units: $(UNITS) $(RULE_CASES)
	@$(if $(RULE_CASES),ln -sf $(notdir $(RULE_CASES)) $(VECTORS)/rule.json)
	@$(if $(HAVE_CMOCKA),$(STAGE) units$(SUFFIX) $(UNIT_SECONDS) $(JOBS) $(UNITS),echo 'units: skipped, libcmocka-dev is missing')

# tests/vectors/*.c become programs, *.sh and *.py run as they are.
vectors: $(VECS) $(RULE_CASES)
	@$(if $(RULE_CASES),ln -sf $(notdir $(RULE_CASES)) $(VECTORS)/rule.json)
	@$(STAGE) vectors$(SUFFIX) 300 $(JOBS) $(VECS) $(call sources,tests/vectors/*.sh) \
	  $(foreach t,$(call sources,tests/vectors/*.py tests/wire/test_*.py),'python3 $(t)')

# tests/sim/*.c are one program; it prints the seed that fails and `sim: N passed, N failed`.  SIM_LARGE: histories of 40 nodes.
SIM_LARGE ?= 1
sim: $(SIM)
	@$(STAGE) sim$(SUFFIX) 600 1 $(SIM:%='% --seeds $(SIM_SEEDS)') \
	  $(if $(SAN),,$(SIM:%='% --nodes 40 --seeds $(SIM_LARGE)') tests/sim/redecide.sh)

live: all
	@tests/lib/run_live.sh

# Mutants of the model must be noticed by its vectors, mutants of the C code by its tests.
mutants: $(RULE_CASES)
	@$(if $(RULE_CASES),ln -sf $(notdir $(RULE_CASES)) $(VECTORS)/rule.json)
	@$(STAGE) mutants 3600 1 'python3 tests/model/authority_model.py mutants' \
	  $(patsubst %,'python3 %',$(wildcard tests/unit/mutants.py))

sanitize:
	+@r=0; $(MAKE) --no-print-directory SAN=1 units || r=1; $(MAKE) --no-print-directory SAN=1 SIM_SEEDS=20 sim || r=1; exit $$r

# The committed corpus under the sanitizers, then libFuzzer from it for a while.  A find lands in build-fuzz/found.
fuzz:
	+@r=0; $(MAKE) --no-print-directory SAN=1 fuzz-replay || r=1; \
	 if command -v clang >/dev/null; then $(MAKE) --no-print-directory FUZZ=1 fuzz-run || r=1; \
	 else echo 'fuzz: skipped, clang is missing'; [ "$$NO_SKIP" != 1 ] || r=1; fi; exit $$r
.PHONY: fuzz-replay fuzz-run
fuzz-replay: $(REPLAYS)
	@$(STAGE) fuzz-replay 120 $(JOBS) $(foreach f,$(FUZZ_SRC:tests/fuzz/fuzz_%.c=%),\
	  '$(BUILD)/tests/replay-fuzz_$(f) tests/fuzz/corpus/$(f)')
fuzz-run: $(FUZZERS)
	@mkdir -p $(BUILD)/found $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(BUILD)/corpus/%)
	@$(STAGE) fuzz $$(( $(FUZZ_SECONDS) + 60 )) $(JOBS) $(foreach f,$(FUZZ_SRC:tests/fuzz/fuzz_%.c=%),\
	  '$(BUILD)/fuzz/fuzz_$(f) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=65536 -verbosity=0 \
	   -artifact_prefix=$(BUILD)/found/$(f)- $(BUILD)/corpus/$(f) $(wildcard tests/fuzz/corpus/$(f))')

# Every script shows on planted violations that it catches them, then judges the tree.
LINTS := $(filter-out tests/lint/lint.py,$(call sources,tests/lint/*.py)) $(call sources,tests/lint/*.sh)
lint:
	@$(STAGE) lint 300 $(JOBS) $(patsubst %.py,'python3 %.py',$(LINTS))
lint-deep: $(BUILD)/gen/schema_state.c
	@LINT_DEEP=1 $(STAGE) lint 1800 $(JOBS) $(patsubst %.py,'python3 %.py',$(LINTS))

# ---- showing and measuring ------------------------------------------------------------------------------------------
SEED ?= 1
# tests/demo/run.sh or run.py finds SEED and KEEP in its environment, the programs under $BUILD.
demo:
	+@tests/lib/deps.sh install '$(DEPS_BUILD)' '$(DEPS_DEMO)' && $(MAKE) --no-print-directory all && \
	  SEED='$(SEED)' KEEP='$(KEEP)' $(firstword $(wildcard tests/demo/run.*) false)

# tests/bench/bench_NAME.sh or .py, with the programs of tests/bench/*.c in build/bench.
BENCH_NAMES := $(basename $(notdir $(call sources,tests/bench/bench_*.sh tests/bench/bench_*.py)))
bench: $(BENCH_NAMES:bench_%=bench-%)
measuring:
	@tests/lib/deps.sh install '$(DEPS_BUILD)' '$(DEPS_BENCH)'
bench-%: measuring all $(BENCHES)
	@$(firstword $(wildcard tests/bench/bench_$*.sh tests/bench/bench_$*.py) 'false')

# ---- installing -----------------------------------------------------------------------------------------------------
UNIT_DIR := $(DESTDIR)/lib/systemd/system
SHARE    := $(DESTDIR)$(PREFIX)/share
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(SHARE)/terrace $(SHARE)/doc/terrace $(UNIT_DIR) \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	$(if $(MAIN),install -m 755 $(BUILD)/terraced $(DESTDIR)$(PREFIX)/sbin/terraced)
	$(if $(CTL_MAIN),install -m 755 $(BUILD)/terracectl $(DESTDIR)$(PREFIX)/bin/terracectl)
	for unit in systemd/*.service; do \
	  sed 's,/usr/sbin/,$(PREFIX)/sbin/,' $$unit >$(UNIT_DIR)/$${unit##*/} && chmod 644 $(UNIT_DIR)/$${unit##*/}; done
	install -m 644 systemd/terrace.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/terrace.conf
	install -m 644 systemd/terrace.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/terrace.conf
	install -m 644 LICENSE conf/terraced.conf $(SHARE)/doc/terrace/
	cp -r conf/policies schema/registers $(SHARE)/terrace/
	for page in $(notdir $(MANS)); do \
	  install -D -m 644 $(BUILD)/man/$$page $(SHARE)/man/man$${page##*.}/$$page; done

# Homes under /var/lib/terrace are data and stay.
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/terraced $(DESTDIR)$(PREFIX)/bin/terracectl $(UNIT_DIR)/terraced.service \
	  $(UNIT_DIR)/terraced@.service $(DESTDIR)$(PREFIX)/lib/sysusers.d/terrace.conf \
	  $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/terrace.conf
	rm -rf $(SHARE)/terrace $(SHARE)/doc/terrace
	for page in $(notdir $(MAN_SRC:.scd=)); do rm -f $(SHARE)/man/man$${page##*.}/$$page; done

clean:
	rm -rf $(O)build $(O)build-san $(O)build-fuzz

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
