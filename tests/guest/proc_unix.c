// /proc/net/unix: this test's own sockets.
#include "guest.h"

// The line of socket `s`: flags, type, state and name, without what is any number.
static void line(const char *label, int s) {
    struct stat st;
    fstat(s, &st);
    FILE *f = fopen("/proc/net/unix", "r");
    char l[512];
    int found = 0;
    while (f && fgets(l, sizeof l, f)) {
        unsigned flags, type, state, references, protocol;
        unsigned long num, ino;
        int end = 0;
        if (sscanf(l, "%lx: %x %x %x %x %x %lu%n", &num, &references, &protocol, &flags, &type, &state, &ino, &end) != 7) continue;
        if (ino != st.st_ino) continue;
        found++;
        l[strcspn(l, "\n")] = 0;
        printf("%s: protocol %u flags %#x type %u state %u name '%s'%s\n", label, protocol, flags, type, state, l + end,
               references ? "" : " without a reference");
    }
    if (f) fclose(f);
    if (found != 1) printf("%s: %d lines\n", label, found);
}

// Connections to `name` that nobody has accepted have no inode.
static int unaccepted(const char *name) {
    FILE *f = fopen("/proc/net/unix", "r");
    char l[512];
    int n = 0;
    while (f && fgets(l, sizeof l, f)) n += strstr(l, name) && strstr(l, " 02     0 ");
    if (f) fclose(f);
    return n;
}

static struct sockaddr_un address(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path + (*name == '@'), name + (*name == '@'));
    return a;
}

#define ADDR(a, n) (struct sockaddr *)&(a), (socklen_t)(n)

static void tests(void) {
    char first[100] = {0}, abstract[60];
    int t = open("/proc/net/unix", O_RDONLY);
    read(t, first, 56);
    close(t);
    fputs(first, stdout);

    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    line("new", s);
    struct sockaddr_un a = address("name with space");
    SHOW(bind(s, ADDR(a, sizeof a)));
    line("bound", s);
    SHOW(listen(s, 5));
    line("listening", s);
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(connect(c, ADDR(a, sizeof a)));
    line("connected", c);
    SHOW(unaccepted("name with space"));
    int d = accept(s, NULL, NULL);
    line("accepted", d);
    SHOW(unaccepted("name with space"));

    snprintf(abstract, sizeof abstract, "@proc_unix");
    struct sockaddr_un b = address(abstract);
    int u = socket(AF_UNIX, SOCK_DGRAM, 0), v = socket(AF_UNIX, SOCK_DGRAM, 0);
    SHOW(bind(u, ADDR(b, 2 + 10)));
    line("abstract", u);
    SHOW(connect(v, ADDR(b, 2 + 10)));
    line("datagram peer", v);
    int p[2];
    SHOW(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p));
    line("pair", p[0]);
    close(p[1]);
    line("half a pair", p[0]);
    shutdown(c, SHUT_RDWR);
    line("shut", c);
    close(d);
    line("left", c);
    struct stat st;
    SHOW(stat("/proc/self/net/unix", &st));
    printf("mode %o\n", st.st_mode);
    SHOW(stat("/proc/net/nothing", &st));
}
