// What a supervisor has to bear, by the name of the first argument. The second is
// a file that is waited for.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *file;

static void await(void) {
	while (file && access(file, F_OK) != 0)
		usleep(1000);
}

static void *last(void *unused) {
	usleep(20000);
	exit(5);
}

static int child(void *unused) {
	execlp("sleep", "sleep", "1051", (char *)0);
	_exit(1);
}

// fork_as forks a child that is to have the number pid.
static pid_t fork_as(pid_t pid) {
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
	if (fd < 0 || dprintf(fd, "%d", pid - 1) < 0)
		exit(77);
	close(fd);
	return fork();
}

static int reuse(void) {
	pid_t first = 0;
	for (int i = 0; i < 5; i++) {
		pid_t pid = first ? fork_as(first) : fork();
		if (pid < 0)
			return 1;
		if (pid == 0)
			_exit(10 + i);
		waitpid(pid, 0, 0);
		if (first && pid != first)
			return 78;
		first = pid;
	}
	return 0;
}

static int changes(void) {
	if (fork() > 0)
		return 0;
	prctl(PR_SET_NAME, "renamed");
	setpgid(0, 0);
	if (fork() > 0) // its parent ends
		_exit(0);
	setsid();
	prctl(PR_SET_NAME, "renamed twice");
	if (fork() > 0)
		_exit(0);
	prctl(PR_SET_NAME, "the third");
	close(open(file, O_CREAT | O_WRONLY, 0644));
	for (;;)
		pause();
}

// root becomes root, if the program is root's and set-user-id, and stays while its
// file does, ten minutes at most.
static int root(void) {
	alarm(600);
	if (setresuid(0, 0, 0) != 0)
		return 1;
	close(open(file, O_CREAT | O_WRONLY, 0644));
	while (access(file, F_OK) == 0)
		usleep(10000);
	return 0;
}

int main(int argc, char **argv) {
	file = argc > 2 ? argv[2] : 0;
	if (strcmp(argv[1], "vfork") == 0) {
		if (vfork() == 0) {
			await();
			_exit(3);
		}
		int status;
		return wait(&status) > 0 && WEXITSTATUS(status) == 3 ? 4 : 1;
	}
	if (strcmp(argv[1], "leader") == 0) {
		pthread_t t;
		pthread_create(&t, 0, last, 0);
		pthread_exit(0);
	}
	if (strcmp(argv[1], "untraced") == 0) {
		static char stack[65536];
		return clone(child, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, 0) < 0;
	}
	if (strcmp(argv[1], "sibling") == 0) {
		static char stack[65536];
		return clone(child, stack + sizeof stack, CLONE_PARENT | SIGCHLD, 0) < 0;
	}
	if (strcmp(argv[1], "reuse") == 0)
		return reuse();
	if (strcmp(argv[1], "root") == 0)
		return root();
	if (strcmp(argv[1], "changes") == 0) {
		int r = changes();
		await();
		return r;
	}
	return 2;
}
