// Capabilities over changes of user and execve: securebits, PR_SET_KEEPCAPS, ambient ones (capabilities(7)). As root only.
#define MAIN_ARGS
int again(int argc, char **argv);
#include "guest.h"
#include <linux/capability.h>
#include <linux/securebits.h>

static void set(unsigned long p, unsigned long e, unsigned long i) {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {{e, p, i}, {e >> 32, p >> 32, i >> 32}};
    SHOW(syscall(SYS_capset, &h, d));
}

// What is held of four: CHOWN, KILL, SETPCAP, NET_BIND_SERVICE.
static void held(const char *when) {
    static const int caps[] = {CAP_CHOWN, CAP_KILL, CAP_SETPCAP, CAP_NET_BIND_SERVICE};
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];
    CHECK(syscall(SYS_capget, &h, d) == 0);
    printf("%s:", when);
    for (int n = 0; n < 4; n++) {
        unsigned b = 1u << caps[n];
        printf(" %c%c%c%c", d[0].permitted & b ? 'p' : '-', d[0].effective & b ? 'e' : '-', d[0].inheritable & b ? 'i' : '-',
               prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, caps[n], 0, 0) == 1 ? 'a' : '-');
    }
    printf(" bits %#x\n", prctl(PR_GET_SECUREBITS));
}

int again(int argc, char **argv) {
    held("  after execve");
    return 0;
}

static void exec(void) {
    fflush(stdout);
    execl("/proc/self/exe", "again", "x", NULL);
    CHECK(0);
}

#define C(n) (1ul << CAP_##n)
#define ALONE(...) (puts("-- " #__VA_ARGS__), fflush(stdout), say_status("  it", CHILD(__VA_ARGS__)))

static void tests(void) {
    if (geteuid() != 0) return;
    const unsigned long some = C(CHOWN) | C(KILL) | C(SETPCAP) | C(SETUID) | C(SETGID);
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 1, 0));
    SHOW(prctl(PR_CAP_AMBIENT, 9, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    ALONE(set(some, some, C(KILL)); held("  set"); exec());
    ALONE(set(some, some, C(KILL)); SHOW(setuid(1234)); held("  setuid"); exec());
    ALONE(set(some, some, C(KILL)); SHOW(prctl(PR_SET_KEEPCAPS, 1)); SHOW(setuid(1234)); held("  kept"); exec());
    ALONE(set(some, some, C(KILL) | C(CHOWN)); SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
          SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0)); held("  ambient"); SHOW(setuid(1234)); held("  setuid"); exec());
    ALONE(set(some, some, C(KILL) | C(CHOWN)); prctl(PR_SET_KEEPCAPS, 1); SHOW(setuid(1234)); set(some, some, C(KILL) | C(CHOWN));
          SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0)); held("  raised as user"); exec());
    ALONE(set(some, some, C(KILL) | C(CHOWN)); prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0);
          SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_CHOWN, 0, 0)); set(some & ~C(KILL), some & ~C(KILL), C(KILL)); held("  lowered"));
    // Root without its privileges.
    ALONE(set(some, some, C(KILL)); SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)); held("  noroot"); exec());
    ALONE(set(some, some, C(KILL)); prctl(PR_SET_SECUREBITS, SECBIT_NOROOT); prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0); exec());
    ALONE(set(some, some, 0); SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)); SHOW(setuid(1234)); held("  no fixup"); exec());
    ALONE(set(some, some, C(KILL)); SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE));
          SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0)));
    // Locks.
    ALONE(SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED)); SHOW(prctl(PR_SET_KEEPCAPS, 1));
          SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_KEEP_CAPS)); SHOW(prctl(PR_SET_SECUREBITS, 0));
          SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT)); SHOW(prctl(PR_SET_SECUREBITS, 1ul << 20)));
    ALONE(SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS)); SHOW(prctl(PR_GET_KEEPCAPS)); exec());
    ALONE(SHOW(setuid(1234)); SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)); SHOW(prctl(PR_SET_KEEPCAPS, 2)));
    // Not beyond the bounding set.
    ALONE(SHOW(prctl(PR_CAPBSET_DROP, CAP_KILL)); set(some, some, C(KILL)); held("  dropped"); exec());
    // Effective user alone.
    ALONE(set(some, some, C(KILL)); SHOW(seteuid(1234)); held("  seteuid"); exec());
    ALONE(set(some, some, C(KILL)); SHOW(seteuid(1234)); SHOW(seteuid(0)); held("  and back"));
}
