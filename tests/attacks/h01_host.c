// H1, H4: the guest kernel has fallen. On a VM without a guard an application can write its own selector byte; what it then calls
// reaches the host, as calls of a hijacked guest kernel would. Each attempt in a process of its own: it must be killed or refused.
// argv: number of the attempt, path of a host file, host pid to be attacked. "control N" with the path of a file that the VM was
// given makes a call that must succeed by the same way: else the attempts would prove nothing.
#include "attack.h"
#include <linux/openat2.h>

static volatile unsigned char *selector(void) {
    unsigned long gs;
    asm volatile("rdgsbase %0" : "=r"(gs));
    return (void *)(gs + (TRUSTED - OPEN_PAGES));
}
// One host call: selector 0, syscall, selector 1, with nothing in between that could enter the guest kernel.
static long host(long nr, long a, long b, long c, long d, long e, long f) {
    volatile unsigned char *s = selector();
    register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
    long ret;
    asm volatile("movb $0, (%[s])\n nop\n syscall\n movb $1, (%[s])" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), [s] "b"(s) : "rcx", "r11", "memory");
    return ret;
}
static struct open_how how;
static char buf[256];
static struct { const char *name; long nr, a[6]; int args; } list[] = {
#define FILE_ (-1001)
#define PID_ (-1002)
    {"open", SYS_open, {FILE_, 0}}, {"openat", SYS_openat, {-100, FILE_, 0}}, {"creat", SYS_creat, {FILE_, 0600}}, {"execve", SYS_execve, {FILE_, 0, 0}}, {"execveat", SYS_execveat, {-100, FILE_, 0, 0, 0}},
    {"ptrace", SYS_ptrace, {16, PID_, 0, 0}}, {"socket inet", SYS_socket, {2, 1, 0}}, {"socket unix", SYS_socket, {1, 1, 0}}, {"socket netlink", SYS_socket, {16, 3, 0}}, {"connect", SYS_connect, {3, (long)buf, 16}}, {"bind", SYS_bind, {3, (long)buf, 16}},
    {"io_uring_setup", 425, {8, (long)buf}}, {"mount", SYS_mount, {(long)"x", (long)"/", (long)"tmpfs", 0, 0}}, {"umount2", SYS_umount2, {(long)"/", 2}}, {"bpf", SYS_bpf, {0, (long)buf, 64}}, {"perf_event_open", SYS_perf_event_open, {(long)buf, 0, -1, -1, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {PID_, (long)buf, 1, (long)buf, 1, 0}}, {"process_vm_writev", SYS_process_vm_writev, {PID_, (long)buf, 1, (long)buf, 1, 0}}, {"pidfd_open", 434, {PID_, 0}}, {"pidfd_getfd", 438, {3, 0, 0}}, {"pidfd_send_signal", 424, {3, 9, 0, 0}},
    {"kill", SYS_kill, {PID_, 9}}, {"kill all", SYS_kill, {-1, 9}}, {"tkill", SYS_tkill, {PID_, 9}}, {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {PID_, 9, (long)buf}}, {"keyctl", SYS_keyctl, {0, -3, 0, 0, 0}}, {"userfaultfd", SYS_userfaultfd, {0}}, {"unshare", SYS_unshare, {0x10000000}}, {"setns", SYS_setns, {3, 0}},
    {"chroot", SYS_chroot, {(long)"/"}}, {"personality", SYS_personality, {0x0400000}}, {"setuid", SYS_setuid, {0}}, {"prlimit", SYS_prlimit64, {PID_, 7, 0, (long)buf}}, {"seccomp", SYS_seccomp, {1, 0, (long)buf}}, {"modify_ldt", SYS_modify_ldt, {1, (long)buf, 16}}, {"arch_prctl", SYS_arch_prctl, {0x1001, 0}}, {"memfd_create", SYS_memfd_create, {(long)"x", 0}},
    {"init_module", SYS_init_module, {(long)buf, 16, (long)buf}}, {"reboot", SYS_reboot, {0xfee1dead, 672274793, 0, 0}}, {"chmod", SYS_chmod, {FILE_, 0777}}, {"unlink", SYS_unlink, {FILE_}}, {"rename", SYS_rename, {FILE_, FILE_}}, {"rt_sigreturn", SYS_rt_sigreturn, {0}}, {"accept4", SYS_accept4, {3, 0, 0, 0}}, {"dup", SYS_dup, {3}}, {"fork", SYS_fork, {0}}, {"vfork", SYS_vfork, {0}}, {"clone3", SYS_clone3, {(long)buf, 88}},
    {"clone user namespace", SYS_clone, {0x10000000 | 17, 0, 0, 0, 0}}, {"clone mount namespace", SYS_clone, {0x20000 | 17, 0, 0, 0, 0}}, {"prctl no seccomp", SYS_prctl, {22, 0, 0, 0, 0}}, {"prctl ptracer", SYS_prctl, {0x59616d61, -1, 0, 0, 0}}, {"prctl dumpable", SYS_prctl, {4, 1, 0, 0, 0}}, {"prctl no death signal", SYS_prctl, {1, 0, 0, 0, 0}}, {"ioctl TIOCSTI", SYS_ioctl, {0, 0x5412, (long)"x"}}, {"fcntl owner", SYS_fcntl, {0, 8, PID_}}, {"x32", 0x40000000 | 2, {FILE_, 0}},
    {"openat2", 437, {-100, FILE_, (long)&how, 24}}, {"openat2 /proc", 437, {-100, (long)"/proc/self/status", (long)&how, 24}}, {"openat2 memory", 437, {-100, (long)"/proc/self/mem", (long)&how, 24}}, {"openat2 host root", 437, {-100, (long)"/", (long)&how, 24}}, {"openat2 device", 437, {-100, (long)"/dev/null", (long)&how, 24}},
    {"tgkill", SYS_tgkill, {PID_, PID_, 9}}, {"sendto an address", SYS_sendto, {3, (long)buf, 1, 0, (long)"\2\0\0\26\177\0\0\1\0\0\0\0\0\0\0", 16}}, {"linkat", SYS_linkat, {-100, FILE_, -100, (long)"/tmp/stolen", 0}}, {"renameat2", SYS_renameat2, {-100, FILE_, -100, (long)"/tmp/stolen", 0}}, {"unlinkat", SYS_unlinkat, {-100, FILE_, 0}}, {"symlinkat", SYS_symlinkat, {(long)"x", -100, (long)"/tmp/stolen"}}, {"mkdirat", SYS_mkdirat, {-100, (long)"/tmp/stolen", 0700}}, {"mknodat device", SYS_mknodat, {-100, (long)"/tmp/stolen", 0020666, 0x103}},
};
static int control(int i, const char *file) {
    long r = -1;
    if (i == 0) r = host(SYS_getpid, 0, 0, 0, 0, 0, 0) - getpid(); // the host's number and the guest's
    if (i == 1) r = host(437, -100, (long)file, (long)&how, 24, 0, 0);
    if (i == 2) r = host(SYS_mmap, 0, 4096, 3, 0x22, -1, 0);
    if (i == 3) r = host(SYS_clock_gettime, 1, (long)buf, 0, 0, 0, 0) == 0 && *(long *)buf > 0 ? 1 : -1;
    printf("control %d: %ld\n", i, r);
    return r > 0 ? 0 : 1;
}
int main(int argc, char **argv) {
    if (argc < 4) { printf("%zu\n", COUNT(list)); return 0; }
    (void)*selector();
    if (!strcmp(argv[1], "control")) return control(atoi(argv[2]), argv[3]);
    int i = atoi(argv[1]);
    long a[6];
    for (int k = 0; k < 6; k++) a[k] = list[i].a[k] == FILE_ ? (long)argv[2] : list[i].a[k] == PID_ ? atol(argv[3]) : list[i].a[k];
    printf("%s\n", list[i].name); fflush(stdout);
    long r = host(list[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (r < 0) { printf("refused: %ld\n", r); return 0; }
    // Reached: through the guest kernel's own console, which still works.
    HOLE("%s gives %ld", list[i].name, r);
    return 1;
}
