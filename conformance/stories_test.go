package conformance

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tries is how often a story is acted that failed: a machine that others use can
// get in the way once. What fails each time fails.
const tries = 3

func program(t *testing.T) *Program {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("not run: needs gcc")
	}
	p, err := Compile()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// stories returns all stories of testdata, by file.
func stories(t *testing.T) map[string][]Story {
	t.Helper()
	all, err := Stories("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStories(t *testing.T) {
	p := program(t)
	inside := os.Getuid() == 0
	acted, left := 0, 0
	for file, list := range stories(t) {
		for _, s := range list {
			if s.NeedsRoot() && !inside {
				left++
				t.Logf("not run, since it needs root: %s: %s", file, s.Name)
				continue
			}
			acted++
			t.Run(strings.ReplaceAll(s.Name, " ", "_"), func(t *testing.T) { act(t, s, p, inside) })
		}
	}
	t.Logf("%d stories acted, %d not run since they need root", acted, left)
}

func act(t *testing.T, s Story, p *Program, inside bool) {
	t.Helper()
	for n := 1; ; n++ {
		err := Act(s, p, inside)
		if err == nil {
			return
		}
		if n == tries {
			t.Fatal(err)
		}
		t.Logf("acted again, since it failed once: %v", err)
	}
}

// userVariable tells the test binary that it is the ordinary user.
const userVariable = "AXPROCESS_CONFORMANCE_USER"

// TestAsAnOrdinaryUser runs TestStories again as nobody, and lists what that one
// could not run.
func TestAsAnOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not run: TestStories is run by an ordinary user already")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "conformance.test")
	if err := copyProgram(os.Args[0], binary); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run", "^TestStories$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), userVariable+"=1", "TMPDIR=/tmp", "HOME=/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "not run") || strings.Contains(line, "acted") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil || !strings.Contains(string(out), "stories acted") {
		t.Fatalf("as an ordinary user: %v\n%s", err, out)
	}
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
