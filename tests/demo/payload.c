/* Code of the agent's own, as a program and as a shared library: it prints a word if it runs. */
#include <unistd.h>

#define RAN "the payload ran\n"

__attribute__((constructor)) static void loaded(void) {
    (void)!write(1, RAN, sizeof RAN - 1);
}

int main(void) {
    return 0;
}
