/* Stands in for the set-uid programs that every machine has (ping, mount, su): the set-up installs
 * it owned by root with the set-uid bit. It can do a few fixed things that take root, none of which
 * does harm or shows a secret, and says what the kernel gave it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

/* Reads a file that only root may read, and says how long it is. */
static int read_shadow(void) {
    char buffer[4096];
    long total = 0, got;
    int fd = open("/etc/shadow", O_RDONLY);
    if (fd < 0)
        return fail("/etc/shadow");
    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        total += got;
    return got < 0 ? fail("read") : printf("read %ld bytes as uid %d\n", total, geteuid()) < 0;
}

/* Makes a socket that takes CAP_NET_RAW, and says what the kernel says it is. */
static int make_socket(int family, int type, int protocol) {
    int domain = 0, kind = 0;
    socklen_t length = sizeof(int);
    int fd = socket(family, type, protocol);
    if (fd < 0)
        return fail("socket");
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &length) != 0)
        return fail("getsockopt");
    return printf("have a socket of family %d and type %d\n", domain, kind) < 0;
}

/* Makes a BPF map and reads a value back that it has put there. */
static int use_bpf(void) {
    unsigned key = 0, value = 42, back = 0;
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    int fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
    if (fd < 0)
        return fail("bpf");
    memset(&attr, 0, sizeof attr);
    attr.map_fd = fd;
    attr.key = (unsigned long)&key;
    attr.value = (unsigned long)&value;
    if (syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof attr) != 0)
        return fail("bpf");
    attr.value = (unsigned long)&back;
    if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof attr) != 0)
        return fail("bpf");
    return printf("have a map that holds %u\n", back) < 0;
}

int main(int argc, char **argv) {
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "shadow") == 0)
        return read_shadow();
    if (strcmp(what, "raw") == 0)
        return make_socket(AF_INET, SOCK_RAW, 1);
    if (strcmp(what, "packet") == 0)
        return make_socket(AF_PACKET, SOCK_RAW, 0);
    if (strcmp(what, "bpf") == 0)
        return use_bpf();
    fprintf(stderr, "usage: helper shadow|raw|packet|bpf\n");
    return 2;
}
