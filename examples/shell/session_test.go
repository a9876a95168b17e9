package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// This file drives this shell and the real bash through the same session, key by
// key, and compares all that the two show.

const prompt = "READY> "

// limit is for a machine that is busy with other things, not for a shell.
const limit = 60 * time.Second

// side is one of the two shells.
type side interface {
	send(keys string)
	screen() *screen
	inForeground() bool // a job, which has come as far as its own program
	count() counts
	end(t *testing.T, code int) // exit was typed: it must end with this code
}

// screen is what a shell has shown.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// take returns and forgets what has been shown, if ready says that it is whole.
func (s *screen) take(ready func(string) bool) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.ReplaceAll(s.text.String(), "\r\n", "\n")
	if !ready(text) {
		return text, false
	}
	s.text.Reset()
	return text, true
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

// shown waits until what a side shows is whole.
func shown(t *testing.T, s side, what string, ready func(string) bool) (text string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%T shows %q", s, text)
		}
	}()
	eventually(t, what, func() (whole bool) {
		text, whole = s.screen().take(ready)
		return whole
	})
	return text
}

func atPrompt(text string) bool { return strings.HasSuffix(text, prompt) }

func TestSessionBesideBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("not run: needs bash")
	}
	script, err := os.ReadFile(filepath.Join("testdata", "session.txt"))
	if err != nil {
		t.Fatal(err)
	}
	sides := [2]side{startBash(t), startOurs(t)}
	var names [2]namer
	for i, s := range sides {
		shown(t, s, "the first prompt", atPrompt)
		names[i] = namer{}
	}
	steps := readSession(t, string(script))
	for n, step := range steps {
		var got [2]string
		for i, s := range sides {
			got[i] = names[i].normal(step.play(t, s))
		}
		if got[0] != got[1] {
			t.Errorf("line %d: %s\nbash shows\n%s\nthis shell\n%s", step.line, step.text, got[0], got[1])
		}
		if t.Failed() {
			t.Fatalf("after %d of %d steps", n+1, len(steps))
		}
	}
	for _, s := range sides {
		s.send("exit 3\r")
		s.end(t, 3)
	}
	t.Logf("%d steps", len(steps))
}

// step is a line of the session, with the line that settles it.
type step struct {
	line   int
	kind   byte
	text   string
	settle bool
	want   counts
}

// counts is how many processes of the session run and are stopped, zombies apart.
type counts struct{ running, stopped int }

func readSession(t *testing.T, script string) (steps []step) {
	for i, line := range strings.Split(script, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] != '=' {
			steps = append(steps, step{line: i + 1, kind: line[0], text: strings.TrimPrefix(line[1:], " ")})
			continue
		}
		last := &steps[len(steps)-1]
		if _, err := fmt.Sscanf(line, "= %d running, %d stopped", &last.want.running, &last.want.stopped); err != nil {
			t.Fatalf("line %d: %q: %v", i+1, line, err)
		}
		last.settle = true
	}
	return steps
}

// play does a step and returns what is shown.
func (st step) play(t *testing.T, s side) string {
	t.Helper()
	text := ""
	switch st.kind {
	case '!':
		s.send(st.text + "\r")
		eventually(t, st.text+" in the foreground", s.inForeground)
		return ""
	case '<':
		s.send(st.text + "\r")
		return shown(t, s, "an echo", func(all string) bool { return strings.Count(all, st.text+"\n") == 2 })
	case '^':
		s.send(string(st.text[0] & 0x1f))
		text = shown(t, s, "the prompt after a key", atPrompt)
	case '>':
		s.send(st.text + "\r")
		text = shown(t, s, "the prompt after "+st.text, atPrompt)
	default:
		t.Fatalf("line %d: what is %q?", st.line, st.kind)
	}
	if st.settle {
		eventually(t, fmt.Sprintf("%+v after %s", st.want, st.text), func() bool { return s.count() == st.want })
		s.send(":\r")
		text += shown(t, s, "the prompt after all has settled", atPrompt)
	}
	return text
}

// namer gives process numbers names in the order in which they are seen, so that
// the two sides' can be compared.
type namer map[string]string

var (
	psLine  = regexp.MustCompile(`^ *(\d+) +(\d+) +(\d+) +(\d+) +(\S+) +(\S+)$`)
	bgLine  = regexp.MustCompile(`^\[(\d+)\] (\d+)$`)
	numbers = regexp.MustCompile(`\d+`)
)

func (m namer) name(number string) string {
	if m[number] == "" {
		m[number] = "p" + strconv.Itoa(len(m)+1)
	}
	return m[number]
}

// normal is a text without what may differ: numbers of processes, empty lines and
// prompts, and what ps says of niceness and threads.
func (m namer) normal(text string) string {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(text, prompt, "")) {
		line = strings.TrimRight(line, "\n ")
		switch {
		case line == "" || line == ":":
			continue
		case bgLine.MatchString(line):
			at := bgLine.FindStringSubmatch(line)
			line = fmt.Sprintf("[%s] %s", at[1], m.name(at[2]))
		case psLine.MatchString(line):
			f := psLine.FindStringSubmatch(line)
			if f[5][0] == 'Z' {
				continue // an orphan's, and how fast it is reaped is the host's affair
			}
			state := strings.NewReplacer("N", "", "<", "", "l", "").Replace(f[5])
			line = fmt.Sprint(m.name(f[1]), m.name(f[2]), m.name(f[3]), m.name(f[4]), " ", state, " ", f[6])
		case strings.Contains(line, " - No such process"):
			line = numbers.ReplaceAllString(line, "N")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// ours is this shell, in this process.
type ours struct {
	*world
	shown screen
	code  chan int
}

func startOurs(t *testing.T) *ours {
	o := &ours{code: make(chan int, 1)}
	o.world = newWorld(&o.shown)
	t.Cleanup(func() {
		o.close()
		if err := o.table.Check(); err != nil {
			t.Error(err)
		}
	})
	go func() { o.code <- o.runShell("bash", prompt) }()
	return o
}

func (o *ours) send(keys string) { o.tty.typed([]byte(keys)) }
func (o *ours) screen() *screen  { return &o.shown }

func (o *ours) inForeground() bool {
	v := o.tty.term.Session()
	return v != nil && o.tty.term.Foreground() != v.SID()
}

func (o *ours) count() (n counts) {
	for _, p := range o.table.Processes() {
		switch {
		case p.Terminal() != o.tty.term || p.IsZombie():
		case p.Stopped() != 0:
			n.stopped++
		default:
			n.running++
		}
	}
	return n
}

func (o *ours) end(t *testing.T, code int) {
	select {
	case got := <-o.code:
		if got != code {
			t.Errorf("this shell's exit code is %d, want %d", got, code)
		}
	case <-time.After(limit):
		t.Error("this shell does not exit")
	}
}

// bash is the real one, on a pseudo-terminal.
type bash struct {
	cmd    *exec.Cmd
	master *os.File
	shown  screen
}

func startBash(t *testing.T) *bash {
	b := &bash{cmd: exec.Command("bash", "--norc", "--noprofile", "--noediting", "-i")}
	b.cmd.Env = append(os.Environ(), "PS1="+prompt, "TERM=dumb", "LC_ALL=C", "HISTFILE=", "MAIL=", "PROMPT_COMMAND=")
	// A signal that whoever runs the tests ignores would be ignored here too.
	master, err := pty.StartWithAttrs(b.cmd, &pty.Winsize{Rows: 24, Cols: 200}, &syscall.SysProcAttr{Setsid: true, Setctty: true})
	if err != nil {
		t.Fatal(err)
	}
	b.master = master
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			_, _ = b.shown.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		for _, p := range b.session() {
			p.kill()
		}
		master.Close()
		<-copied
	})
	return b
}

func (b *bash) send(keys string) { _, _ = b.master.WriteString(keys) }
func (b *bash) screen() *screen  { return &b.shown }

// real is a process of bash's session, as /proc shows it.
type real struct {
	pid, pgid, sid int
	state, comm    string
}

// session returns the processes of bash's session.
func (b *bash) session() (all []real) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		before, after, _ := strings.Cut(string(text), " (")
		i := strings.LastIndexByte(after, ')')
		f := strings.Fields(after[i+1:])
		p := real{comm: after[:i], state: f[0]}
		p.pid, _ = strconv.Atoi(before)
		p.pgid, _ = strconv.Atoi(f[2])
		if p.sid, _ = strconv.Atoi(f[3]); p.sid == b.cmd.Process.Pid {
			all = append(all, p)
		}
	}
	return all
}

// kill ends it, if it is still what it was.
func (p real) kill() {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if sid, err := unix.Getsid(p.pid); err == nil && sid == p.sid {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

func (b *bash) inForeground() bool {
	pgid, err := unix.IoctlGetInt(int(b.master.Fd()), unix.TIOCGPGRP)
	if err != nil || pgid == b.cmd.Process.Pid {
		return false
	}
	// Until it execs, a job is still bash.
	return !slices.ContainsFunc(b.session(), func(p real) bool { return p.pgid == pgid && (p.comm == "bash" || p.state == "T") })
}

func (b *bash) count() (n counts) {
	for _, p := range b.session() {
		switch p.state {
		case "Z", "X":
		case "T":
			n.stopped++
		case "S":
			n.running++
		default:
			return counts{} // one is busy: not yet as it will stay
		}
	}
	return n
}

func (b *bash) end(t *testing.T, code int) {
	done := make(chan error, 1)
	go func() { done <- b.cmd.Wait() }()
	select {
	case <-done:
		if got := b.cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("bash's exit code is %d, want %d", got, code)
		}
	case <-time.After(limit):
		t.Error("bash does not exit")
	}
}
