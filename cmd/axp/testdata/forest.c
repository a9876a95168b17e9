// forest plants sleeping processes, in a pid namespace whose init it is: sessions
// of groups of members, and in each session a zombie that its leader doesn't wait
// for. It writes a line "pid ppid pgid sid" for each, then "ready", and ends, and
// all of it with it, when its standard input does.
//
// usage: forest SESSIONS GROUPS MEMBERS
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static int to_init[2];

struct word { int pid, ppid, pgid, sid; };

static void die(const char *what) { perror(what); _exit(1); }

static void say(void) {
	struct word w = {getpid(), getppid(), getpgrp(), getsid(0)};
	if (write(to_init[1], &w, sizeof w) != sizeof w) die("write");
}

static void sleep_on(void) {
	for (;;) pause();
}

static int child(void) {
	int pid = fork();
	if (pid < 0) die("fork");
	return pid == 0;
}

static void group(int members) {
	if (setpgid(0, 0)) die("setpgid");
	for (int i = 0; i < members; i++)
		if (child()) { say(); sleep_on(); }
	say();
	sleep_on();
}

static void session(int groups, int members) {
	if (setsid() < 0) die("setsid");
	for (int i = 0; i < groups; i++)
		if (child()) group(members);
	int pid = fork();
	if (pid < 0) die("fork");
	if (pid == 0) { say(); _exit(7); }
	siginfo_t gone;
	if (waitid(P_PID, pid, &gone, WEXITED | WNOWAIT)) die("waitid");
	say();
	sleep_on();
}

int main(int argc, char **argv) {
	if (argc != 4) return 2;
	if (getpid() != 1) { fputs("forest: not the init of a pid namespace\n", stderr); return 2; }
	int sessions = atoi(argv[1]), groups = atoi(argv[2]), members = atoi(argv[3]);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL)) die("mount");
	if (pipe(to_init)) die("pipe");
	for (int i = 0; i < sessions; i++)
		if (child()) session(groups, members);
	for (int n = sessions * (groups * (members + 1) + 2); n > 0; n--) {
		struct word w;
		if (read(to_init[0], &w, sizeof w) != sizeof w) die("read");
		printf("%d %d %d %d\n", w.pid, w.ppid, w.pgid, w.sid);
	}
	puts("ready");
	fflush(stdout);
	char c;
	while (read(0, &c, 1) > 0) {}
	return 0;
}
