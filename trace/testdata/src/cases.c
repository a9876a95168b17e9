// What the captured logs are of: each case is a small program about one part of
// process life. Only own children are ever signalled.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pid_t sure(pid_t p) { // a failed fork must never be signalled
	if (p < 0) { perror("fork"); exit(99); }
	return p;
}
static void nap(int ms) { usleep(ms * 1000); }
static void *sleeper(void *a) { (void)a; for (;;) pause(); return 0; }
static void *brief(void *a) { nap((intptr_t)a); return 0; }
static void *execer(void *a) { (void)a; nap(5); execl("/bin/true", "true", (char *)0); return 0; }
static void *forker(void *a) {
	pid_t c = sure(fork());
	if (!c) _exit(7);
	int st;
	if ((intptr_t)a) waitpid(c, &st, 0);
	return 0;
}
static void *waiter(void *a) { (void)a; int st; while (waitpid(-1, &st, __WNOTHREAD) > 0); while (waitpid(-1, &st, 0) > 0); return 0; }

static void threads(void) {
	pthread_t t[8];
	int st;
	for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, brief, (void *)(intptr_t)(i % 4));
	for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
	for (int i = 0; i < 6; i++) pthread_create(&t[i], 0, forker, (void *)(intptr_t)(i % 2));
	for (int i = 0; i < 6; i++) pthread_join(t[i], 0);
	while (wait(&st) > 0);
	if (!sure(fork())) { for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, sleeper, 0); exit(3); }
	pid_t stuck = sure(fork());
	if (!stuck) { for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, sleeper, 0); nap(5); syscall(SYS_exit, 4); }
	nap(40);
	waitpid(stuck, &st, WNOHANG); // its leader has exited, it has not
	kill(stuck, SIGTERM);
	pid_t c = sure(fork());
	if (!c) { pthread_create(&t[0], 0, brief, (void *)20); syscall(SYS_exit, 9); }
	siginfo_t si;
	waitid(P_PID, c, &si, WEXITED | WNOHANG);
	waitid(P_PID, c, &si, WEXITED);
	wait(&st);
	c = sure(fork());
	if (!c) {
		for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, waiter, 0);
		for (int i = 0; i < 6; i++) if (!sure(fork())) { nap(i); _exit(i); }
		for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
		exit(0);
	}
	waitpid(c, &st, 0);
}
static void threadexec(void) {
	pthread_t t;
	int st;
	for (int i = 0; i < 5; i++) {
		if (!sure(fork())) {
			for (int k = 0; k < i; k++) pthread_create(&t, 0, sleeper, 0);
			pthread_create(&t, 0, execer, 0);
			if (i == 4) pthread_create(&t, 0, execer, 0);
			pause(); _exit(1);
		}
		wait(&st);
	}
	if (!sure(fork())) { for (int k = 0; k < 3; k++) pthread_create(&t, 0, sleeper, 0); nap(3); execl("/bin/false", "false", (char *)0); }
	wait(&st);
}
static void spawns(void) {
	int st;
	for (int i = 0; i < 6; i++) {
		pid_t c = vfork();
		if (!c) { execl(i % 3 == 2 ? "/nonexistent" : "/bin/true", "true", (char *)0); _exit(127); }
		if (c < 0) exit(99);
		char *av[] = {"false", 0};
		pid_t d;
		if (posix_spawn(&d, "/bin/false", 0, 0, av, environ) == 0 && i % 2) waitpid(d, &st, 0);
		if (posix_spawn(&d, "/nonexistent", 0, 0, av, environ) == 0) waitpid(d, &st, 0);
		waitpid(c, &st, 0);
	}
	while (wait(&st) > 0);
	FILE *f = popen("exit 3", "r");
	pclose(f);
	if (system("exit 5")) {}
}
static void orphan(int depth, int ms) { // a chain whose middle ends at once
	if (!depth) { getppid(); nap(ms); getppid(); _exit(depth); }
	if (!sure(fork())) { orphan(depth - 1, ms); _exit(98); }
	nap(2);
	getppid();
	_exit(depth);
}
static void subreaper(void) {
	int st;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < 5; i++) if (!sure(fork())) orphan(1 + i % 4, 10 + 3 * i);
	while (wait(&st) > 0);
	if (!sure(fork())) { // a subreaper below, that ends
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		if (!sure(fork())) { if (!sure(fork())) { nap(10); getppid(); nap(20); getppid(); _exit(1); } _exit(2); }
		nap(20);
		_exit(3);
	}
	while (wait(&st) > 0);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	if (!sure(fork())) orphan(2, 15);
	while (wait(&st) > 0);
	nap(60);
}
static void daemons(void) {
	int st;
	for (int i = 0; i < 3; i++) {
		pid_t c = sure(fork());
		if (!c) {
			setsid();
			if (!sure(fork())) { setsid(); getsid(0); getpgrp(); nap(10 * i); getppid(); setsid(); _exit(0); }
			_exit(0);
		}
		waitpid(c, &st, 0);
	}
	if (!sure(fork())) { if (daemon(1, 1)) {} nap(5); getppid(); exit(0); }
	wait(&st);
	nap(60);
}
static void setpgids(void) { // as shells do: both sides, while the child execs
	int st;
	for (int i = 0; i < 60; i++) {
		pid_t lead = 0, c[3];
		int n = 1 + i % 3;
		for (int k = 0; k < n; k++) {
			c[k] = sure(fork());
			if (!c[k]) {
				setpgid(0, lead);
				getpgrp();
				if (i % 4 == 3) { getpgid(0); _exit(k); }
				execl("/bin/true", "true", (char *)0);
			}
			if (!lead) lead = c[k];
			setpgid(c[k], lead);
			getpgid(c[k]);
		}
		if (i % 2) for (int k = 0; k < n; k++) waitpid(-lead, &st, 0);
		else for (int k = n; k--;) waitpid(c[k], &st, 0);
		setpgid(lead, lead);
		getpgid(lead);
		kill(-lead, 0);
	}
	pid_t c = sure(fork());
	if (!c) { setsid(); setsid(); setpgid(0, 0); setpgid(0, getppid()); setpgid(0, -1); nap(20); _exit(0); }
	nap(5);
	setpgid(c, 0); setpgid(c, getpid()); setpgid(getppid(), 0); setpgid(4000000, 0); setpgid(-3, 0); setpgid(0, 4000000);
	getsid(c); getpgid(c); getsid(4000001); getpgid(-1);
	waitpid(c, &st, 0);
	getpgid(c);
	setpgid(c, c);
}
static void nothing(int s) { (void)s; }
static void signals(void) {
	int st;
	struct sigaction a = {.sa_handler = nothing};
	sigaction(SIGUSR1, &a, 0);
	a.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &a, 0);
	for (int sig = 1; sig < 32; sig++) {
		if (sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH) continue;
		pid_t c = sure(fork());
		if (!c) { for (;;) pause(); }
		nap(2);
		kill(c, sig);
		if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU || sig == SIGUSR1 || sig == SIGUSR2) { nap(2); kill(c, SIGKILL); }
		waitpid(c, &st, WUNTRACED);
		waitpid(c, &st, 0);
	}
	pid_t me = getpid(), c = sure(fork());
	if (!c) { // signals that interrupt its parent's waits
		nap(5); kill(me, SIGUSR1); nap(5); kill(me, SIGUSR2); nap(5); _exit(8);
	}
	wait(&st); wait(&st); wait(&st);
	kill(c, 0); kill(me, 0); kill(me, 65); kill(4000000, SIGTERM); kill(0, 0); kill(-4000000, 0); kill(4000000, 99);
	syscall(SYS_tgkill, me, me, 0); syscall(SYS_tgkill, me, 4000000, 0); syscall(SYS_tgkill, 0, me, 0); syscall(SYS_tkill, me, 0); syscall(SYS_tkill, -1, 0);
	c = sure(fork());
	if (!c) { setpgid(0, 0); for (int i = 0; i < 3; i++) if (!sure(fork())) for (;;) pause(); for (;;) pause(); }
	setpgid(c, c);
	nap(10);
	kill(-c, SIGTERM);
	waitpid(c, &st, 0);
	nap(10);
	kill(-c, 0);
	int fd = syscall(SYS_pidfd_open, me, 0);
	syscall(SYS_pidfd_send_signal, fd, 0, 0, 0);
	c = sure(fork());
	if (!c) { for (;;) pause(); }
	int fd2 = syscall(SYS_pidfd_open, c, 0);
	syscall(SYS_pidfd_send_signal, fd2, SIGKILL, 0, 0);
	siginfo_t si;
	waitid(P_PIDFD, fd2, &si, WEXITED);
	syscall(SYS_pidfd_send_signal, fd2, 0, 0, 0);
	waitid(P_PIDFD, fd, &si, WEXITED);
	sigqueue(me, 0, (union sigval){0});
	abort();
}
static void stops(void) {
	int st;
	siginfo_t si;
	pid_t c = sure(fork());
	if (!c) { setpgid(0, 0); for (;;) pause(); }
	setpgid(c, c);
	int sigs[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	for (int i = 0; i < 4; i++) {
		kill(c, sigs[i]);
		waitpid(c, &st, WUNTRACED);
		waitpid(c, &st, WUNTRACED | WNOHANG);
		kill(c, SIGCONT);
		waitpid(c, &st, WCONTINUED);
		kill(-c, SIGSTOP);
		waitid(P_PGID, c, &si, WSTOPPED | WNOWAIT);
		waitid(P_PID, c, &si, WSTOPPED);
		kill(c, SIGCONT);
		waitid(P_ALL, 0, &si, WCONTINUED | WEXITED);
		nap(2);
	}
	kill(c, SIGSTOP);
	waitpid(c, &st, WUNTRACED);
	kill(c, SIGKILL);
	waitid(P_ALL, 0, &si, WSTOPPED | WEXITED | WCONTINUED);
	if (!sure(fork())) { // an orphaned group with a stopped member
		setsid();
		pid_t d = sure(fork());
		if (!d) { setpgid(0, 0); kill(getpid(), SIGSTOP); nap(5); _exit(4); }
		setpgid(d, d);
		waitpid(d, &st, WUNTRACED);
		_exit(2);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (wait(&st) > 0);
	c = sure(fork()); // SIGTSTP in an orphaned group does nothing
	if (!c) { setsid(); kill(getpid(), SIGTSTP); nap(2); _exit(6); }
	waitpid(c, &st, WUNTRACED);
}
static int entry(void *a) { (void)a; _exit(11); }
static void waits(void) {
	int st;
	siginfo_t si;
	static char stack[3][65536];
	wait(&st);
	waitpid(-1, &st, WNOHANG); waitpid(0, &st, WNOHANG); waitpid(-4000000, &st, 0); waitpid(4000000, &st, 0);
	waitid(P_ALL, 0, &si, 0); waitid(P_ALL, 0, &si, WNOHANG); waitid(9, 0, &si, WEXITED); waitid(P_PID, 0, &si, WEXITED); waitid(P_PGID, -1, &si, WEXITED);
	syscall(SYS_wait4, -1, &st, WEXITED, 0); syscall(SYS_wait4, -1, &st, WNOWAIT, 0); syscall(SYS_wait4, -1, &st, 0x10, 0); syscall(SYS_wait4, (int)0x80000000, &st, 0, 0);
	pid_t c[6];
	for (int i = 0; i < 6; i++) { c[i] = sure(fork()); if (!c[i]) { if (i == 2) setpgid(0, 0); nap(2 * (6 - i)); _exit(i); } }
	nap(30);
	waitid(P_ALL, 0, &si, WEXITED | WNOWAIT); waitid(P_PGID, c[2], &si, WEXITED | WNOWAIT); waitid(P_PGID, 0, &si, WEXITED);
	waitpid(-c[2], &st, 0); waitpid(0, &st, 0); waitpid(c[5], &st, 0); waitpid(c[5], &st, 0);
	waitid(P_PID, c[4], &si, WEXITED | WNOWAIT); waitid(P_PID, c[4], &si, WEXITED); waitid(P_PID, c[4], &si, WEXITED);
	while (wait(&st) > 0);
	pid_t odd = clone(entry, stack[0] + 65536, 0, 0);
	pid_t usr = clone(entry, stack[1] + 65536, SIGCHLD, 0);
	nap(10);
	waitpid(odd, &st, 0); waitpid(odd, &st, __WCLONE); waitpid(usr, &st, __WALL);
	odd = clone(entry, stack[0] + 65536, 0, 0);
	nap(5);
	waitpid(-1, &st, WNOHANG); waitpid(-1, &st, __WALL);
	if (!sure(fork())) { // clone with CLONE_PARENT makes a sibling
		pid_t s = clone(entry, stack[2] + 65536, CLONE_PARENT | SIGCHLD, 0);
		waitpid(s, &st, 0);
		_exit(1);
	}
	while (wait(&st) > 0);
	for (int i = 0; i < 8; i++) if (!sure(fork())) _exit(i);
	while (wait(&st) > 0);
	for (int i = 0; i < 5; i++) if (!sure(fork())) { nap(i); _exit(i); }
	while (waitpid(-1, &st, WNOHANG) >= 0) nap(1);
}
static void autoreap(void) {
	int st;
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 4; i++) if (!sure(fork())) { nap(i); _exit(i); }
	wait(&st);
	pid_t c = sure(fork());
	if (!c) _exit(0);
	nap(10);
	kill(c, 0);
	waitpid(c, &st, 0);
	struct sigaction a = {.sa_handler = nothing, .sa_flags = SA_NOCLDWAIT};
	sigaction(SIGCHLD, &a, 0);
	for (int i = 0; i < 3; i++) if (!sure(fork())) { nap(i); _exit(i); }
	while (wait(&st) >= 0 || errno == EINTR);
	signal(SIGCHLD, SIG_DFL);
	c = sure(fork());
	if (!c) { signal(SIGCHLD, SIG_IGN); execl("/bin/sh", "sh", "-c", "/bin/true & /bin/true; wait", (char *)0); }
	waitpid(c, &st, 0);
	if (!sure(fork())) { if (!sure(fork())) _exit(3); nap(10); _exit(4); } // a zombie whose new parent ignores SIGCHLD
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGCHLD, SIG_IGN);
	while (wait(&st) > 0);
}
// Everything at once, by some dozens of processes.
static unsigned seed;
static int rnd(int n) { seed = seed * 1103515245 + 12345; return (seed >> 16) % n; }
static void chaos(int depth) {
	pid_t kids[16];
	int n = 0, st;
	seed ^= getpid() * 2654435761u;
	for (int i = 0; i < 14; i++) {
		switch (rnd(13)) {
		case 0: case 1: case 2:
			if (n < 16 && depth > 0) { pid_t c = sure(fork()); if (!c) { chaos(depth - 1); _exit(rnd(200)); } kids[n++] = c; }
			break;
		case 3: setpgid(0, 0); break;
		case 4: if (n) setpgid(kids[rnd(n)], 0); break;
		case 5: if (n > 1) setpgid(kids[rnd(n)], kids[rnd(n)]); break;
		case 6: if (rnd(3) == 0) setsid(); break;
		case 7: if (n) kill(kids[rnd(n)], 0); getppid(); break;
		case 8: waitpid(-1, &st, WNOHANG | WUNTRACED | WCONTINUED); break;
		case 9: if (n) { pid_t k = kids[rnd(n)]; if (waitpid(k, &st, WNOHANG) == 0 && rnd(4) == 0) kill(k, SIGTERM); } break;
		case 10: if (n) { getpgid(kids[rnd(n)]); getsid(kids[rnd(n)]); } getpgrp(); break;
		case 11: if (rnd(8) == 0) prctl(PR_SET_CHILD_SUBREAPER, rnd(2)); break;
		case 12: if (rnd(10) == 0) execl("/bin/true", "true", (char *)0); else usleep(rnd(500)); break;
		}
	}
	if (rnd(3)) while (waitpid(-1, &st, 0) > 0);
}

int main(int n, char **v) {
	const struct { const char *name; void (*run)(void); } cases[] = {
		{"threads", threads}, {"threadexec", threadexec}, {"spawns", spawns}, {"subreaper", subreaper}, {"daemons", daemons},
		{"setpgids", setpgids}, {"signals", signals}, {"stops", stops}, {"waits", waits}, {"autoreap", autoreap}};
	if (n > 1 && !strcmp(v[1], "chaos")) {
		seed = n > 2 ? atoi(v[2]) : 1;
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		chaos(3);
		int st;
		while (wait(&st) > 0);
		return 0;
	}
	for (unsigned i = 0; n > 1 && i < sizeof cases / sizeof *cases; i++)
		if (!strcmp(v[1], cases[i].name)) { cases[i].run(); return 0; }
	return 2;
}
