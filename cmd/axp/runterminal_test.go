package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// This file is about axp run on a terminal: what a person types reaches the
// command as without it.

// person is somebody at a terminal.
type person struct {
	t    *testing.T
	cmd  *exec.Cmd
	file *os.File
	mu   sync.Mutex
	seen bytes.Buffer
	from int // what was read before has been dealt with
}

// sit starts a command on a terminal.
func sit(t *testing.T, cmd *exec.Cmd) *person {
	t.Helper()
	file, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, cmd: cmd, file: file}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := file.Read(buf)
			p.mu.Lock()
			p.seen.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = file.Close() // hangs up on all that is left
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return p
}

func (p *person) types(text string) {
	p.t.Helper()
	if _, err := p.file.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// found says whether there is text, after what was seen before.
func (p *person) found(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := strings.Index(p.seen.String()[p.from:], text)
	if at >= 0 {
		p.from += at + len(text)
	}
	return at >= 0
}

// presses presses a key until text is seen: again if nothing comes of it.
func (p *person) presses(key, text string) {
	p.t.Helper()
	last := time.Time{}
	eventually(p.t, "the terminal shows "+text, func() bool {
		if time.Since(last) > 3*time.Second {
			last = time.Now()
			p.types(key)
		}
		return p.found(text)
	})
}

// sees waits for text, after what was seen before.
func (p *person) sees(text string) {
	p.t.Helper()
	defer func() {
		if p.t.Failed() {
			p.mu.Lock()
			p.t.Logf("on the terminal: %q", p.seen.String())
			p.mu.Unlock()
		}
	}()
	eventually(p.t, "the terminal shows "+text, func() bool { return p.found(text) })
}

// shell is an interactive bash on a terminal, in an empty directory.
func shell(t *testing.T) *person {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("not run: needs bash")
	}
	cmd := exec.Command(bash, "--norc", "--noediting", "-i")
	cmd.Env, cmd.Dir = append(axp(t).Env, "PS1=> ", "HISTFILE="), t.TempDir()
	p := sit(t, cmd)
	p.sees("> ")
	return p
}

// The commands that are stopped run no programs: a vfork child that is stopped
// before its exec keeps its parent from stopping, without axp as well.

// TestRunKeys: ctrl-C reaches the command once, ctrl-Z stops it and axp, fg and
// bg continue both.
func TestRunKeys(t *testing.T) {
	for _, way := range []string{"ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			p := shell(t)
			run := fmt.Sprintf("$AXP run --follow %s -- ", way)
			p.types(run + `sh -c 'trap "echo g""ot; exit 9" INT; echo re""ady; while :; do :; done'; echo "code=$?"` + "\n")
			p.sees("ready")
			p.types("\x03")
			p.sees("got")
			p.sees("code=9")

			loop := run + `sh -c 'echo re""ady; while ! test -e go; do :; done; echo fin""ished; exit 4'; echo "code=$?"` + "\n"
			p.types(loop)
			p.sees("ready")
			p.types("\x1a")
			p.sees("Stopped")
			p.types("touch go; fg; echo \"code=$?\"\n")
			p.sees("finished")
			p.sees("code=4")

			p.types("rm go\n" + loop)
			p.sees("ready")
			p.types("\x1a")
			p.sees("Stopped")
			p.types("bg; touch go; wait; echo o\"\"k\n")
			p.sees("finished")
			p.sees("ok")
		})
	}
}

// TestRunHurry: a first ctrl-C ends the command, a second one the grace, at once.
func TestRunHurry(t *testing.T) {
	for _, way := range []string{"ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			p := shell(t)
			p.types("$AXP run --grace 1h --follow " + way + ` -- sh -c 'sh -c "trap : INT; trap \"echo as\"\"ked\" TERM; echo re\"\"ady; while :; do :; done" & while :; do :; done'` + "\n")
			p.sees("ready")
			p.types("\x03")
			p.sees("asked") // the command has ended of it, and the grace has begun
			p.presses("\x03", "ended by SIGKILL")
			p.sees("interrupted")
			p.types("echo \"code=$?\"\n")
			p.sees("code=130")
		})
	}
}

// TestRunShell: an interactive shell under axp has its job control.
func TestRunShell(t *testing.T) {
	for _, way := range []string{"ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			cmd := axp(t, "run", "--follow", way, "--", "bash", "--norc", "--noediting", "-i")
			cmd.Env, cmd.Dir = append(cmd.Env, "PS1=> ", "HISTFILE="), t.TempDir()
			p := sit(t, cmd)
			p.sees("> ")
			p.types("sh -c 'trap \"echo ag\"\"ain\" CONT; echo re\"\"ady; while :; do :; done'\n")
			p.sees("ready")
			p.types("\x1a")
			p.sees("Stopped")
			p.types("fg\n")
			p.sees("again\r\n") // a ctrl-C before would take the typed away
			p.types("\x03")
			p.sees("> ")
			p.types("echo a\"\"live; exit 5\n")
			p.sees("alive")
			if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 5 {
				t.Errorf("%v", cmd.ProcessState)
			}
		})
	}
}

// TestRunRestores: the terminal's modes and foreground group are put back.
func TestRunRestores(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("not run: needs python3")
	}
	inner := axp(t)
	cmd := exec.Command("sh", "-c", `"$AXP" run -- "$PYTHON" -c '
import os, signal, tty
tty.setraw(0)
os.setpgid(0, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, os.getpgrp())
os.kill(os.getpid(), signal.SIGKILL)
'; echo "code=$?"; read answer; echo "answer=$answer"`)
	cmd.Env = append(inner.Env, "PYTHON="+python)
	p := sit(t, cmd)
	before, err := unix.IoctlGetTermios(int(p.file.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	p.sees("code=137")
	after, err := unix.IoctlGetTermios(int(p.file.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("%v; before %+v, after %+v", err, before, after)
	}
	p.types("yes\n") // only the foreground may read
	p.sees("answer=yes")
}
