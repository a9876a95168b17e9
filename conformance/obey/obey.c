/*
 * A process that obeys: the live side of the conformance suite.
 *
 * Each thread of each process connects to the driver's socket, says who it is, and
 * then carries out one command after the other, a system call each, and answers
 * with what the call returned. Only numbers travel.
 *
 * Calls are made raw, so that no library's idea of threads or of forks comes
 * between. Threads share one thread-local block, and with it errno: only clone()
 * sets it, and only one thread acts at a time.
 *
 * Safety: a kill of 0, of -1 or of the own group is refused outside of a pid
 * namespace of the suite's own (inside == 1), and so is any kill of what is not a
 * positive number there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long call6(long n, long a, long b, long c, long d, long e, long f)
{
	long ret;
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	ret = x0;
#else
#error "which machine is this?"
#endif
	return ret;
}

#define call(n, a, b, c, d, e) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

static const char *program; /* the path of this program */
static const char *where;   /* the driver's socket */
static int inside;        /* in a pid namespace of the suite's own */
static int tty = -1;      /* the terminal that is open here, if one is */

enum { most = 8 };

static char *print(char *to, long n)
{
	char digits[24];
	int i = 0;
	unsigned long u = n < 0 ? -(unsigned long)n : (unsigned long)n;
	if (n < 0)
		*to++ = '-';
	do
		digits[i++] = '0' + u % 10;
	while (u /= 10);
	while (i > 0)
		*to++ = digits[--i];
	*to++ = ' ';
	return to;
}

static void say(int fd, const long *v, int n)
{
	char line[24 * most], *end = line;
	for (int i = 0; i < n; i++)
		end = print(end, v[i]);
	while (call(SYS_write, fd, line, end - line, 0, 0) == -4 /* EINTR */)
		;
}

static int parse(const char *s, long *v)
{
	int n = 0;
	while (*s && n < most) {
		int minus = *s == '-';
		long x = 0;
		if (minus)
			s++;
		while (*s >= '0' && *s <= '9')
			x = x * 10 + (*s++ - '0');
		v[n++] = minus ? -x : x;
		while (*s == ' ')
			s++;
	}
	return n;
}

__attribute__((noreturn)) static void leave(long code)
{
	for (;;)
		call(SYS_exit_group, code, 0, 0, 0, 0);
}

static void obey(int fd);

/* connect says hello to the driver as the birth that it knows by token. */
static int hello(long token)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = call(SYS_socket, AF_UNIX, SOCK_SEQPACKET, 0, 0, 0);
	strncpy(to.sun_path, where, sizeof to.sun_path - 1);
	if (fd < 0 || call(SYS_connect, fd, &to, sizeof to, 0, 0) < 0)
		leave(111);
	long v[] = { token, call(SYS_getpid, 0, 0, 0, 0, 0), call(SYS_gettid, 0, 0, 0, 0, 0) };
	say(fd, v, 3);
	return fd;
}

static long do_fork(int fd, const long *v)
{
	int32_t tid = v[4];
	struct clone_args args = { .flags = (uint64_t)v[2], .exit_signal = (uint64_t)v[3] };
	if (tid) {
		args.set_tid = (uintptr_t)&tid;
		args.set_tid_size = 1;
	}
	long ret = call(SYS_clone3, &args, sizeof args, 0, 0, 0);
	if (ret == 0) {
		call(SYS_close, fd, 0, 0, 0, 0);
		obey(hello(v[1]));
	}
	return ret;
}

static int thread_main(void *token)
{
	obey(hello((long)token));
	return 0;
}

static long do_thread(long token)
{
	enum { size = 64 << 10 };
	char *stack = (char *)call6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if ((unsigned long)stack > -4096UL)
		return (long)stack;
	int ret = clone(thread_main, stack + size, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, (void *)token);
	return ret < 0 ? -errno : ret;
}

static long do_kill(long pid, long sig)
{
	if (!inside && pid <= 1)
		return -1000;
	return call(SYS_kill, pid, sig, 0, 0, 0);
}

static void nothing(int sig) { (void)sig; }

static long do_action(long sig, long kind, long flags)
{
	struct sigaction act = { .sa_flags = flags | SA_RESTART };
	act.sa_handler = kind == 0 ? SIG_DFL : kind == 1 ? SIG_IGN : nothing;
	if (sig < 1 || sig > 64 || sig == SIGKILL || sig == SIGSTOP)
		return -22; /* the library refuses some that the kernel would take */
	return sigaction(sig, &act, NULL) < 0 ? -22 : 0;
}

static long do_mask(long how, long sig)
{
	uint64_t set = 1UL << (sig - 1);
	return call(SYS_rt_sigprocmask, how, &set, NULL, 8, 0);
}

static int do_pending(long *v)
{
	uint64_t set = 0;
	long ret = call(SYS_rt_sigpending, &set, 8, 0, 0, 0);
	v[0] = ret < 0 ? ret : (long)(uint32_t)set;
	v[1] = (long)(set >> 32);
	return 2;
}

/* do_accept takes a signal that is pending, and says what came with it. */
static int do_accept(long *v)
{
	uint64_t set = (uint64_t)(uint32_t)v[1] | (uint64_t)v[2] << 32;
	struct timespec now = { 0, 0 };
	siginfo_t info;
	memset(&info, 0, sizeof info);
	v[0] = call(SYS_rt_sigtimedwait, &set, &info, &now, 8, 0);
	v[1] = info.si_code;
	v[2] = info.si_pid;
	v[3] = info.si_code > 0 && info.si_code < 7 ? info.si_status : 0;
	v[4] = info.si_code == SI_QUEUE ? info.si_value.sival_int : 0;
	return 5;
}

static long do_queue(long pid, long sig, long value)
{
	siginfo_t info;
	if (pid <= 1 && !inside)
		return -1000;
	memset(&info, 0, sizeof info);
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_pid = call(SYS_getpid, 0, 0, 0, 0, 0);
	info.si_value.sival_int = value;
	return call(SYS_rt_sigqueueinfo, pid, sig, &info, 0, 0);
}

/* do_setns makes the children to come be born in the pid namespace of a process. */
static long do_setns(long pid)
{
	long fd = call(SYS_pidfd_open, pid, 0, 0, 0, 0);
	if (fd < 0)
		return fd;
	long ret = call(SYS_setns, fd, CLONE_NEWPID, 0, 0, 0);
	call(SYS_close, fd, 0, 0, 0, 0);
	return ret;
}

static long do_lastpid(long n)
{
	char text[24];
	int fd = call(SYS_openat, AT_FDCWD, "/proc/sys/kernel/ns_last_pid", O_WRONLY, 0, 0);
	if (fd < 0)
		return fd;
	char *end = print(text, n);
	long ret = call(SYS_write, fd, text, end - text, 0, 0);
	call(SYS_close, fd, 0, 0, 0, 0);
	return ret < 0 ? ret : 0;
}

static long do_terminal(long what, long a)
{
	char path[] = "/dev/pts/0000000";
	int32_t n = a;
	long ret;
	switch (what) {
	case 'o': /* open pts a, without taking it */
		*(print(path + 9, a) - 1) = 0;
		ret = call(SYS_openat, AT_FDCWD, path, O_RDWR | O_NOCTTY, 0, 0);
		if (ret >= 0)
			tty = ret;
		return ret < 0 ? ret : 0;
	case 'c':
		return call(SYS_ioctl, tty, TIOCSCTTY, a, 0, 0);
	case 'n':
		return call(SYS_ioctl, tty, TIOCNOTTY, 0, 0, 0);
	case 'p':
		return call(SYS_ioctl, tty, TIOCSPGRP, &n, 0, 0);
	case 'g':
		ret = call(SYS_ioctl, tty, TIOCGPGRP, &n, 0, 0);
		return ret < 0 ? ret : n;
	case 's':
		ret = call(SYS_ioctl, tty, TIOCGSID, &n, 0, 0);
		return ret < 0 ? ret : n;
	case 'r':
		return call(SYS_read, tty, path, 1, 0, 0);
	case 'w':
		return call(SYS_write, tty, "x", 1, 0, 0);
	}
	return -22;
}

static void do_exec(int fd)
{
	char numbers[48], flag[2] = "0";
	*(print(print(numbers, fd), tty) - 1) = 0;
	flag[0] = '0' + inside;
	char *const argv[] = { (char *)program, (char *)where, flag, numbers, NULL };
	char *const envp[] = { NULL };
	call(SYS_execve, program, argv, envp, 0, 0);
}

/* answer carries out v and leaves the answer there; it returns its length. */
static int answer(int fd, long *v)
{
	int status = 0;
	siginfo_t info;
	switch (v[0]) {
	case 'f':
		v[0] = do_fork(fd, v);
		return 1;
	case 't':
		v[0] = do_thread(v[1]);
		return 1;
	case 'x':
		for (;;)
			call(SYS_exit, v[1], 0, 0, 0, 0);
	case 'g':
		leave(v[1]);
	case 'e':
		do_exec(fd);
		v[0] = -5;
		return 1;
	case 's':
		v[0] = call(SYS_setsid, 0, 0, 0, 0, 0);
		return 1;
	case 'p':
		v[0] = call(SYS_setpgid, v[1], v[2], 0, 0, 0);
		return 1;
	case 'P':
		v[0] = call(SYS_getpgid, v[1], 0, 0, 0, 0);
		return 1;
	case 'S':
		v[0] = call(SYS_getsid, v[1], 0, 0, 0, 0);
		return 1;
	case 'q':
		v[0] = call(SYS_getppid, 0, 0, 0, 0, 0);
		return 1;
	case 'm':
		v[0] = call(SYS_getpid, 0, 0, 0, 0, 0);
		return 1;
	case 'r':
		v[0] = call(SYS_prctl, PR_SET_CHILD_SUBREAPER, v[1], 0, 0, 0);
		return 1;
	case 'd':
		v[0] = call(SYS_prctl, PR_SET_PDEATHSIG, v[1], 0, 0, 0);
		return 1;
	case 'w':
		v[0] = call(SYS_wait4, v[1], &status, v[2], 0, 0);
		v[1] = status;
		return 2;
	case 'W':
		memset(&info, 0, sizeof info);
		v[0] = call(SYS_waitid, v[1], v[2], &info, v[3], 0);
		v[1] = info.si_pid;
		v[2] = info.si_code;
		v[3] = info.si_status;
		return 4;
	case 'k':
		v[0] = do_kill(v[1], v[2]);
		return 1;
	case 'K':
		v[0] = v[1] == 1 && !inside ? -1000 : call(SYS_tgkill, v[1], v[2], v[3], 0, 0);
		return 1;
	case 'j':
		v[0] = v[1] == 1 && !inside ? -1000 : call(SYS_tkill, v[1], v[2], 0, 0, 0);
		return 1;
	case 'i':
		v[0] = do_action(v[1], v[2], v[3]);
		return 1;
	case 'b':
		v[0] = do_mask(v[1], v[2]);
		return 1;
	case 'B':
		return do_pending(v);
	case 'a':
		return do_accept(v);
	case 'Q':
		v[0] = do_queue(v[1], v[2], v[3]);
		return 1;
	case 'n':
		v[0] = do_lastpid(v[1]);
		return 1;
	case 'T':
		v[0] = do_terminal(v[1], v[2]);
		return 1;
	case 'U':
		v[0] = do_setns(v[1]);
		return 1;
	case 'u':
		v[0] = call(SYS_unshare, CLONE_NEWPID, 0, 0, 0, 0);
		return 1;
	}
	v[0] = -38; /* ENOSYS */
	return 1;
}

static void obey(int fd)
{
	for (;;) {
		char line[24 * most + 1];
		long v[most] = { 0 };
		long n = call(SYS_read, fd, line, sizeof line - 1, 0, 0);
		if (n == -4 /* EINTR */)
			continue;
		if (n <= 0)
			leave(0); /* the driver is gone */
		line[n] = 0;
		parse(line, v);
		n = answer(fd, v);
		say(fd, v, n);
	}
}

/* end_children ends the children of this process: their numbers are theirs for as
 * long as it has not waited for them. */
static void end_children(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		char path[300], text[512];
		int pid = atoi(entry->d_name), parent = 0;
		if (pid <= 1)
			continue;
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		ssize_t n = read(fd, text, sizeof text - 1);
		close(fd);
		if (n <= 0)
			continue;
		text[n] = 0;
		char *end = strrchr(text, ')');
		if (end && sscanf(end, ") %*c %d", &parent) == 1 && parent == getpid())
			kill(pid, SIGKILL);
	}
	if (dir)
		closedir(dir);
}

/* keep waits until the driver closes standard input, or ends, and then ends all
 * that is left of a world without a pid namespace: what it has forked, and what is
 * orphaned below. */
__attribute__((noreturn)) static void keep(void)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	char c;
	ssize_t n;
	while ((n = read(0, &c, 1)) > 0 || (n < 0 && errno == EINTR))
		;
	for (;;) {
		end_children();
		while ((n = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
			;
		if (n < 0)
			_exit(0); /* nobody is left */
		nanosleep(&pause, NULL);
	}
}

/* obey SOCKET INSIDE [FD TTY]: the last two after an exec. */
int main(int argc, char **argv)
{
	long v[most];
	if (argc < 3)
		return 2;
	program = argv[0];
	where = argv[1];
	inside = argv[2][0] == '1';
	if (argc > 3) {
		parse(argv[3], v);
		int fd = v[0];
		tty = v[1];
		v[0] = 0;
		say(fd, v, 1);
		obey(fd);
	}
	if (!inside) {
		/* Before there is anybody to keep: what ends the driver's group must not
		 * end the keeper. The world's first process begins afresh below. */
		const int quiet[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
		for (unsigned i = 0; i < sizeof quiet / sizeof *quiet; i++)
			signal(quiet[i], SIG_IGN);
		signal(SIGCHLD, SIG_DFL);
		setsid();
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		long child = fork();
		if (child < 0)
			return 3;
		if (child > 0)
			keep();
	}
	/* Quiet at first, whatever the driver's own process has set. */
	uint64_t none = 0;
	call(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8, 0);
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGKILL && sig != SIGSTOP) {
			struct sigaction act = { .sa_handler = SIG_DFL };
			sigaction(sig, &act, NULL);
		}
	if (call(SYS_setsid, 0, 0, 0, 0, 0) < 0)
		leave(112); /* what must not happen to an init (livestate.go, mayMove) could */
	if (!inside)
		call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	obey(hello(1));
}
