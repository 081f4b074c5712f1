"""gcc, make and what they make."""

from rows import work

PROJECT = """set -e
printf '#include "f.h"\\n#include <stdio.h>\\nint main(void) { printf("made %%d\\\\n", f()); return 0; }\\n' > main.c
printf 'int f(void);\\n' > f.h
printf '#include "f.h"\\nint f(void) { return 42; }\\n' > f.c
printf 'main: main.o f.o\\n\\tgcc -o $@ $^\\n%%.o: %%.c f.h\\n\\tgcc -O2 -g -c -o $@ $<\\ncheck: main\\n\\t./main\\n' > Makefile
"""

C = [
    work(
        "c",
        "make",
        f"{PROJECT}make -s -j2 check; touch f.h; make -s check; make -q main && echo up to date",
        "made 42\nmade 42\nup to date",
        patience=90,
    ),
    work(
        "c",
        "libraries",
        f"{PROJECT}gcc -fPIC -c f.c; ar rcs libf.a f.o; gcc -shared -o libf.so f.o; gcc main.c -L. -lf -Wl,-rpath,$PWD -o m\n"
        "./m; gcc -static main.c libf.a -o s; ./s; nm -D libf.so | grep -w f; objdump -f m > o; strip m; ./m",
        "made 42",
        patience=90,
    ),
    work(
        "c",
        "sanitised_and_profiled",
        f"{PROJECT}gcc -pg -g main.c f.c -o p; ./p; test -s gmon.out && echo profiled",
        "profiled",
        patience=90,
    ),
    work(
        "c",
        "in_tmp",
        f"d=$(mktemp -d); cd $d; {PROJECT}make -s check; cd /; rm -r $d",
        "made 42",
        patience=90,
    ),
    work(
        "c",
        "configure_like_checks",
        "set -e\nfor h in stdio.h unistd.h; do echo \"#include <$h>\" | gcc -E - > /dev/null; done; echo 'int main(void){return 0;}' | gcc -x c - -o conftest; ./conftest; echo ran",
        "ran",
    ),
]
