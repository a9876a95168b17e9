package supervise

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"axprocess"
)

// This file is about vfork: whom a child holds is in the table while it does.

// A second thread forks; the child waits for a file, execs, and waits for another.
const vforkProgram = `
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
static char **files;
static void await(const char *file) { while (access(file, F_OK) != 0) usleep(1000); }
static void *second(void *unused) {
	int status = 0;
	if (vfork() == 0) {
		await(files[1]);
		execlp("sh", "sh", "-c", "until test -e \"$0\"; do sleep 0.01; done; exit 3", files[2], (char *)0);
		_exit(1);
	}
	wait(&status);
	_exit(WEXITSTATUS(status) + 1);
}
int main(int argc, char **argv) {
	pthread_t t;
	files = argv;
	pthread_create(&t, 0, second, 0);
	for (;;) pause();
}
`

// TestVfork: the thread that forked is held in the table until the child's exec,
// and no other thread is.
func TestVfork(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("not run: needs gcc, which ./setup installs")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "v.c"), filepath.Join(dir, "v")
	if err := os.WriteFile(source, []byte(vforkProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-O1", "-pthread", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	byEach(t, func(t *testing.T, f Follow) {
		if f == Proc {
			return // it can't know
		}
		dir := t.TempDir()
		c := Command(program, dir+"/exec", dir+"/end")
		c.Follow = f
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var child *axprocess.Process
		await(t, "a thread is held", func() bool { child = heldBy(t, c); return child != nil })
		if n := len(c.Descendants()); n != 2 {
			t.Errorf("%d descendants", n)
		}
		if err := os.WriteFile(dir+"/exec", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		await(t, "the hold is over", func() bool { return heldBy(t, c) == nil })
		if child.State() != axprocess.Running {
			t.Errorf("the child is %v", child.State())
		}
		if err := os.WriteFile(dir+"/end", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if rep := wait(t, c); rep.Code != 4 || !rep.Complete {
			t.Errorf("exit code %d, complete %v", rep.Code, rep.Complete)
		}
	})
}

// heldBy returns the child that holds the command's second thread; the first is
// never held.
func heldBy(t *testing.T, c *Cmd) *axprocess.Process {
	t.Helper()
	if err := c.Table().Check(); err != nil {
		t.Fatal(err)
	}
	for _, h := range c.Table().Process(c.PID()).Threads() {
		child := h.VforkChild()
		if child != nil && h.IsLeader() {
			t.Fatalf("the first thread is held by %d", child.PID())
		}
		if child != nil {
			return child
		}
	}
	return nil
}

// await waits for a condition, a minute at most.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
