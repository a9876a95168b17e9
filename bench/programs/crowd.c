// Has as many sleeping children as the argument says, says so, and ends when its
// input does; the children end with it.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char c;
	pid_t me = getpid();
	for (int n = argc > 1 ? atoi(argv[1]) : 0; n > 0; n--) {
		pid_t child = fork();
		if (child < 0)
			return 2;
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			while (getppid() == me)
				pause();
			_exit(0);
		}
	}
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
