package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// This file is about axp run below and above the programs that people have on a
// terminal: tmux, vim, ssh. What is typed for a shell to say is written so that
// the echo of the typing isn't taken for it.

// pane is a bash in a tmux of its own.
type pane struct {
	t   *testing.T
	env []string
	dir string
}

func newPane(t *testing.T) *pane {
	t.Helper()
	needs(t, "tmux", "bash", "stty")
	p := &pane{t: t, dir: t.TempDir()}
	p.env = []string{"PS1=out> ", "HISTFILE=", "TERM=xterm", "LC_ALL=C.UTF-8", "SHELL=/bin/sh", "TMUX_TMPDIR=" + t.TempDir()}
	for _, v := range axp(t).Env {
		if name, _, _ := strings.Cut(v, "="); name != "TMUX" && name != "TMUX_TMPDIR" && name != "PS1" {
			p.env = append([]string{v}, p.env...)
		}
	}
	t.Cleanup(func() {
		_, _ = p.tmux("kill-server") // only the one of TMUX_TMPDIR
		eventually(t, "tmux has ended", func() bool { _, err := p.tmux("list-sessions"); return err != nil })
	})
	if out, err := p.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40", "-c", p.dir, "bash --norc --noediting -i"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.shows("out> ")
	return p
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("not run: needs %s, which ./setup installs", program)
		}
	}
}

func (p *pane) tmux(args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-L", "axp"}, args...)...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// line types a line.
func (p *pane) line(text string) {
	p.t.Helper()
	p.text(text)
	p.key("Enter")
}

func (p *pane) text(text string) {
	p.t.Helper()
	if out, err := p.tmux("send-keys", "-l", "--", text); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
}

// key presses a key, by tmux's name for it.
func (p *pane) key(name string) {
	p.t.Helper()
	if out, err := p.tmux("send-keys", name); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
}

// shows waits until the screen has text.
func (p *pane) shows(text string) {
	p.t.Helper()
	var screen string
	defer func() {
		if p.t.Failed() {
			p.t.Logf("on the screen:\n%s", screen)
		}
	}()
	eventually(p.t, "the screen shows "+text, func() bool {
		screen, _ = p.tmux("capture-pane", "-p", "-J")
		return strings.Contains(screen, text)
	})
}

// contains waits until a file has this text.
func contains(t *testing.T, file, text string) {
	t.Helper()
	var got []byte
	defer func() {
		if t.Failed() {
			t.Logf("%s: %q", file, got)
		}
	}()
	eventually(t, file+" holds "+text, func() bool { got, _ = os.ReadFile(file); return string(got) == text })
}

// TestRunTmux: in a pane of tmux a shell below axp has its job control, and the
// shell above it its terminal.
func TestRunTmux(t *testing.T) {
	for _, way := range []string{"ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			p := newPane(t)
			p.line("PS1='in> ' $AXP run --follow " + way + " -- bash --norc --noediting -i; echo o\"\"uter=$?")
			p.shows("in> ")
			p.line(`sh -c 'echo re""ady1; exec sleep 1131'`)
			p.shows("ready1")
			p.key("C-c")
			p.line(`echo af""ter=$?`)
			p.shows("after=130")

			p.line(`sh -c 'trap "echo ag""ain; exit 6" CONT; echo re""ady2; while :; do :; done'`)
			p.shows("ready2")
			p.key("C-z")
			p.shows("Stopped")
			p.line("fg")
			p.shows("again")
			p.line(`echo af""ter=$?`)
			p.shows("after=6")
			p.line("exit 5")
			p.shows("outer=5")
		})
	}
}

// TestRunVim: an editor below axp edits, is stopped and continued, and the
// terminal is afterwards as it was.
func TestRunVim(t *testing.T) {
	needs(t, "vim")
	for _, way := range []string{"ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			p := newPane(t)
			p.line("stty -g >before; $AXP run --follow " + way + ` -- vim -u NONE -i NONE -n -N text`)
			p.shows(`"text" [New]`)
			p.text("ihello from vim")
			p.shows("hello from vim")
			p.key("Escape")
			p.line(":w")
			contains(t, p.dir+"/text", "hello from vim\n")
			p.key("C-z")
			p.shows("Stopped")
			p.line(`stty -g >stopped; echo ba""ck`)
			p.shows("back")
			p.line(`fg; echo fi""rst=$?`)
			p.shows("hello from vim")
			p.text("otwice")
			p.shows("twice")
			p.key("Escape")
			p.line(":wq")
			contains(t, p.dir+"/text", "hello from vim\ntwice\n")
			p.shows("first=0") // before, what is typed may be vim's
			p.line(`stty -g >after; echo se""cond=$?`)
			p.shows("second=0")

			before, err := os.ReadFile(p.dir + "/before")
			if err != nil || len(before) == 0 {
				t.Fatal(err)
			}
			for _, when := range []string{"stopped", "after"} {
				if modes, err := os.ReadFile(filepath.Join(p.dir, when)); err != nil || !bytes.Equal(modes, before) {
					t.Errorf("%v; the terminal's modes before: %s, %s: %s", err, before, when, modes)
				}
			}
			// Its exit code is its own.
			p.line("$AXP run --follow " + way + ` -- vim -u NONE -i NONE -n -N text; echo th""ird=$?`)
			p.shows("twice")
			p.line(":cq")
			p.shows("third=1")
		})
	}
}

// TestRunSSH: a session at another machine below axp: what is typed goes there,
// ssh's own escape stops it here, and the exit code is the far command's.
func TestRunSSH(t *testing.T) {
	config := sshServer(t)
	for _, way := range []string{"ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			p := shell(t)
			p.types("stty -g >before; $AXP run --follow " + way + " -- ssh -tt -F " + config + " far bash --norc --noediting -i\n")
			p.sees("# ") // bash's own prompt, or for others than root:
			p.types("PS1=far'> '\n")
			p.sees("far> ")
			p.types(`sh -c 'trap "echo g""ot; exit 9" INT; echo re""ady; while :; do :; done'; echo c""=$?` + "\n")
			p.sees("ready")
			p.types("\x03")
			p.sees("got")
			p.sees("c=9")
			p.sees("far> ")

			p.types("\r~\x1a")
			p.sees("Stopped")
			p.types("echo ne\"\"ar; fg; echo \"code=$?\"\n")
			p.sees("near")
			p.types("echo st\"\"ill=$((6*7))\n")
			p.sees("still=42")
			p.types("exit 7\n")
			p.sees("code=7")
			p.types("stty -g >after; cmp before after && echo sa\"\"me\n")
			p.sees("same")
		})
	}
}

// sshServer listens on this machine, and returns the configuration with which ssh
// reaches it by the name far. Each connection gets an sshd of its own.
func sshServer(t *testing.T) (config string) {
	t.Helper()
	needs(t, "ssh", "ssh-keygen")
	sshd := "/usr/sbin/sshd"
	needs(t, sshd)
	if os.Geteuid() == 0 { // as its service does
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, client := filepath.Join(dir, "sshd_config"), filepath.Join(dir, "ssh_config")
	write(t, server, fmt.Sprintf(`HostKey %s/host
AuthorizedKeysFile %s/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
PrintMotd no
PrintLastLog no
PidFile none
`, dir, dir))
	write(t, client, fmt.Sprintf(`Host far
HostName 127.0.0.1
Port %d
IdentityFile %s/user
IdentitiesOnly yes
IdentityAgent none
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
ControlMaster no
LogLevel ERROR
`, l.Addr().(*net.TCPAddr).Port, dir))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn), log, sshd, "-i", "-e", "-f", server)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("sshd has not ended")
		}
		if text, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%v; sshd: %s", err, text)
		}
		_ = log.Close()
	})
	return client
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve runs a command on a connection, to its end.
func serve(conn *net.TCPConn, log *os.File, name string, args ...string) {
	defer conn.Close()
	file, err := conn.File()
	if err != nil {
		return
	}
	defer file.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, log
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(log, err)
	}
}
