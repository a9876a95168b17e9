// Traces its arguments and all below, is stopped for at each birth, exec and
// signal, and does nothing then but let go: what ptrace costs by itself.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	int status, code = 2;
	pid_t first = argc > 1 ? fork() : -1, pid;
	if (first < 0)
		return 2;
	if (first == 0) {
		raise(SIGSTOP);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (waitpid(first, &status, WUNTRACED) != first || !WIFSTOPPED(status) || ptrace(PTRACE_SEIZE, first, 0, options) < 0)
		return 2;
	kill(first, SIGCONT);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (pid == first)
				code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		} else if (status >> 16) {
			ptrace(PTRACE_CONT, pid, 0, 0);
		} else {
			ptrace(PTRACE_CONT, pid, 0, (intptr_t)WSTOPSIG(status));
		}
	}
	return code;
}
