// Forks as many times as the argument says: each child becomes /bin/true, and is
// waited for before the next is born.
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int n = argc > 1 ? atoi(argv[1]) : 0; n > 0; n--) {
		int status;
		pid_t child = fork();
		if (child < 0)
			return 2;
		if (child == 0) {
			execl("/bin/true", "true", (char *)0);
			_exit(127);
		}
		if (waitpid(child, &status, 0) != child || status != 0)
			return 1;
	}
	return 0;
}
