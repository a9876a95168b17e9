package conformance

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"axprocess"

	"golang.org/x/sys/unix"
)

// This file is about the live side of a story: real processes that obey
// (obey/obey.c), in a pid namespace of their own where that can be had.
//
// Invariants:
//   - no process outlives its world: as root the world's first process is the init
//     of a pid namespace and dies with the thread that made it; otherwise a keeper
//     above it ends what is left when its standard input ends, as it does when the
//     driver is killed;
//   - a number is sent to a process only as the inner number of a name of this
//     world, or as a bare number in a pid namespace of the world's own.

//go:embed obey/obey.c
var obeySource []byte

// Program is the obedient program, compiled.
type Program struct {
	dir, path string
	patience  time.Duration
}

// Compile compiles the obedient program into a folder of its own, which the worlds
// have their sockets in; Close removes it. It needs gcc and a static C library.
func Compile() (*Program, error) {
	dir, err := os.MkdirTemp("", "obey")
	if err != nil {
		return nil, err
	}
	p := &Program{dir, filepath.Join(dir, "obey"), Patience}
	source := filepath.Join(dir, "obey.c")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(source, obeySource, 0o644)); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if out, err := exec.Command("gcc", "-O1", "-static", "-Wall", "-Wextra", "-Werror", "-o", p.path, source).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("gcc: %w\n%s", err, out), p.Close())
	}
	return p, nil
}

// Close removes the program.
func (p *Program) Close() error { return os.RemoveAll(p.dir) }

// Patience is how long the live side may take for what the table says at once.
// Only a wrong table or a machine that stands still needs it whole.
const Patience = 40 * time.Second

// ErrDisturbed is what a world came to that the story is not to blame for: a
// number was taken by somebody else, or the machine had no room.
var ErrDisturbed = errors.New("the live world was disturbed")

// Live acts stories with real processes.
type Live struct {
	patience  time.Duration
	inside    bool
	dir       string
	listener  *net.UnixListener
	first     *exec.Cmd
	firstDone chan struct{}
	life      *os.File      // what the keeper of a world without a namespace reads: its end is the world's
	ended     chan struct{} // tells the thread that made the first process to go
	terminal  *os.File      // the other end of the world's terminal, once one is open
	pts       int
	tokens    int
	actors    map[string]*liveActor
	numbers                  // by the inode of a namespace of this world
	hostNames map[int]string // by the number outside
	processes []*liveProcess
}

type liveProcess struct {
	name   string
	pid    int      // outside
	stat   int      // its /proc/PID/stat, open: nobody else's, whoever gets the number
	pidfd  int      // likewise
	gone   bool     // it has been freed, and both are closed
	spaces []uint64 // the namespaces that it has a number in, from the world's to its own
}

// space is the namespace that it is in.
func (p *liveProcess) space() uint64 { return p.spaces[len(p.spaces)-1] }

type liveActor struct {
	conn     *net.UnixConn
	patience time.Duration
	process  *liveProcess
	tid      int // outside
	owed     int // answers that nobody waits for any more
	pending  *Step
}

// NewLive starts a world. inside asks for a pid namespace of its own, which needs
// root.
func NewLive(p *Program, inside bool) (*Live, error) {
	l := &Live{patience: p.patience, inside: inside, pts: -1, actors: map[string]*liveActor{}, numbers: newNumbers(),
		hostNames: map[int]string{}}
	var err error
	if l.dir, err = os.MkdirTemp(p.dir, "world"); err != nil {
		return nil, err
	}
	if err := os.Chmod(l.dir, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(l.dir))
	}
	where := filepath.Join(l.dir, "s")
	if l.listener, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: where, Net: "unixpacket"}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(l.dir))
	}
	if err := l.startFirst(p.path, where); err != nil {
		l.Close()
		return nil, err
	}
	if _, err := l.accept("init", 1, nil, nil); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// startFirst starts the world's first process, or its keeper, from a thread that lives as long as
// the world: the process is killed when that thread ends.
func (l *Live) startFirst(path, where string) error {
	l.first = exec.Command(path, where, "0")
	if l.inside {
		l.first.Args[2] = "1"
		l.first.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID}
	} else {
		input, life, err := os.Pipe()
		if err != nil {
			return err
		}
		defer input.Close()
		l.first.Stdin, l.life = input, life
	}
	l.first.Env = []string{}
	l.first.Stderr = os.Stderr
	l.ended, l.firstDone = make(chan struct{}), make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		err := l.first.Start()
		started <- err
		if err == nil {
			<-l.ended
		}
	}()
	if err := <-started; err != nil {
		close(l.firstDone)
		return err
	}
	go func() {
		defer close(l.firstDone)
		_ = l.first.Wait() // how it ends is the story's affair
	}()
	return nil
}

// Close ends the world: all that is left of it.
func (l *Live) Close() {
	for _, a := range l.actors {
		a.conn.Close()
	}
	l.listener.Close()
	if l.terminal != nil {
		l.terminal.Close()
	}
	if l.first != nil && l.first.Process != nil {
		for _, p := range l.processes {
			if !p.gone {
				_ = unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0) // unless it has ended
				p.forget()
			}
		}
		if l.life != nil {
			l.life.Close()
		}
		<-l.firstDone
		close(l.ended)
	}
	os.RemoveAll(l.dir)
}

// forget gives back what the driver holds of a process.
func (p *liveProcess) forget() {
	p.gone = true
	_ = unix.Close(p.stat)  // they were opened for reading:
	_ = unix.Close(p.pidfd) // nothing can be lost
}

// accept takes in the actor that says hello as token: a process if of is nil, else
// a thread of it. It returns the number that maker knows it by.
func (l *Live) accept(name string, token int, of *liveProcess, maker *liveActor) (number axprocess.PID, err error) {
	if err := l.listener.SetDeadline(time.Now().Add(Patience)); err != nil {
		return 0, err
	}
	conn, err := l.listener.AcceptUnix()
	if err != nil {
		return 0, fmt.Errorf("%s does not say hello: %w", name, err)
	}
	a := &liveActor{conn: conn, patience: l.patience, process: of}
	v, err := a.read()
	if err != nil || len(v) != 3 || v[0] != token {
		conn.Close()
		return 0, fmt.Errorf("%s says hello as %v, not as %d: %w", name, v, token, err)
	}
	l.actors[name] = a
	pid, err := peer(conn)
	if err != nil {
		return 0, err
	}
	if of == nil {
		if a.process, err = l.newProcess(name, pid, maker); err != nil {
			return 0, err
		}
	}
	tid, numbers, err := findThread(pid, v[2], of == nil)
	if err != nil {
		return 0, err
	}
	a.tid, l.hostNames[tid] = tid, name
	spaces := a.process.spaces
	for i, space := range spaces {
		l.learn(name, space, numbers[len(numbers)-len(spaces)+i])
	}
	if maker == nil {
		return numbers[len(numbers)-1], nil
	}
	return l.of[name][maker.process.space()], nil
}

// newProcess takes in a process that has said hello.
func (l *Live) newProcess(name string, pid int, maker *liveActor) (*liveProcess, error) {
	var own unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", pid), &own); err != nil {
		return nil, err
	}
	p := &liveProcess{name: name, pid: pid, spaces: l.spaces(own.Ino, maker)}
	var err error
	if p.stat, err = unix.Open(fmt.Sprintf("/proc/%d/stat", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, err
	}
	if p.pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
		_ = unix.Close(p.stat)
		return nil, err
	}
	l.processes = append(l.processes, p)
	return p, nil
}

// spaces returns the namespaces from the world's to one that somebody is born in: as
// of somebody who is in it already, else it is a new one below the maker's.
func (l *Live) spaces(own uint64, maker *liveActor) []uint64 {
	for _, p := range l.processes {
		if !p.gone && p.space() == own {
			return p.spaces
		}
	}
	if maker == nil {
		return []uint64{own}
	}
	return append(slices.Clone(maker.process.spaces), own)
}

// peer returns who connected, by the number outside.
func peer(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	ctlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, ctlErr); err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

// findThread finds the thread of a process that has an inner number, and returns
// its number outside, and its numbers from the driver's namespace to its own.
func findThread(pid, inner int, leads bool) (tid int, numbers []axprocess.PID, err error) {
	if leads {
		numbers, err = numbersOf(fmt.Sprintf("/proc/%d/status", pid))
		return pid, numbers, err
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, nil, err
	}
	for _, task := range tasks {
		numbers, err := numbersOf(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
		if err != nil || numbers[len(numbers)-1] != axprocess.PID(inner) {
			continue
		}
		tid, err = strconv.Atoi(task.Name())
		return tid, numbers, err
	}
	return 0, nil, fmt.Errorf("process %d has no thread %d", pid, inner)
}

// numbersOf reads the line NSpid of a status file.
func numbersOf(path string) (numbers []axprocess.PID, err error) {
	status, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, line, _ := strings.Cut(string(status), "\nNSpid:")
	line, _, _ = strings.Cut(line, "\n")
	for word := range strings.FieldsSeq(line) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, axprocess.PID(n))
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%s has no NSpid", path)
	}
	return numbers, nil
}

func (a *liveActor) send(v ...int) error {
	words := make([]string, len(v))
	for i, n := range v {
		words[i] = strconv.Itoa(n)
	}
	_, err := a.conn.Write([]byte(strings.Join(words, " ")))
	return err
}

// read waits for one message.
func (a *liveActor) read() ([]int, error) {
	if err := a.conn.SetReadDeadline(time.Now().Add(a.patience)); err != nil {
		return nil, err
	}
	return a.readMessage()
}

func (a *liveActor) readMessage() ([]int, error) {
	buf := make([]byte, 256)
	n, err := a.conn.Read(buf)
	if err != nil {
		return nil, err
	}
	var v []int
	for _, word := range strings.Fields(string(buf[:n])) {
		i, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		v = append(v, i)
	}
	if len(v) == 0 {
		return nil, errors.New("an empty answer")
	}
	return v, nil
}

// answer waits for the answer to the last call, past those that are owed.
func (a *liveActor) answer() (v []int, err error) {
	for {
		if v, err = a.read(); err != nil || a.owed == 0 {
			return v, err
		}
		a.owed--
	}
}

// Do takes a step, knowing what the table came to: whether to wait for an answer.
func (l *Live) Do(s Step, expect Kind) (Outcome, error) {
	if s.Actor == theTerminal {
		return l.otherEnd(s)
	}
	a := l.actors[s.Actor]
	if a == nil {
		return Outcome{}, fmt.Errorf("nobody is named %q", s.Actor)
	}
	if s.Verb == "is" {
		return Outcome{Text: "ok"}, nil
	}
	if s.Verb == "returns" {
		return l.returns(a, expect)
	}
	if s.Verb == "opentty" {
		if err := l.openTerminal(); err != nil {
			return Outcome{}, err
		}
	}
	if s.Verb == "readtty" { // also for one that is stopped and begins again
		if err := l.types("x\n"); err != nil {
			return Outcome{}, err
		}
	}
	v, err := l.encode(a, s)
	if err != nil {
		return Outcome{}, err
	}
	if err := a.send(v...); err != nil {
		return Outcome{}, fmt.Errorf("%s can't be told: %w", s.Actor, err)
	}
	if s.Verb == "fork" && expect != Gone {
		return l.forked(a, s, v[1], expect)
	}
	switch expect {
	case Gone:
		a.owed++
		return Outcome{Kind: Gone}, nil
	case Blocks:
		a.pending = &s
		if answer, err := l.awaitBlock(a, s); err != nil || answer != "" {
			return Outcome{Text: answer}, err
		}
		return Outcome{Kind: Blocks}, nil
	}
	answer, err := a.answer()
	if err != nil {
		return silence(s, err)
	}
	if s.Verb == "opentty" {
		if err := l.setModes(); err != nil { // a hangup has reset them
			return Outcome{}, err
		}
	}
	return l.decode(a, s, v, answer)
}

// silence is the outcome of a call that has not returned in time, or an error.
func silence(s Step, err error) (Outcome, error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Outcome{Text: "no answer"}, nil
	}
	return Outcome{}, fmt.Errorf("%s does not return: %w", s, err)
}

// forked takes in the child, whose hello comes before or after the answer; a vfork
// is answered when the child lets go.
func (l *Live) forked(a *liveActor, s Step, token int, expect Kind) (Outcome, error) {
	if expect == Blocks {
		if _, err := l.accept(s.Args[0], token, nil, a); err != nil {
			return Outcome{}, err
		}
		a.pending = &s
		return Outcome{Kind: Blocks}, nil
	}
	answer, err := a.answer()
	if err != nil {
		return silence(s, err)
	}
	if answer[0] < 0 {
		return Outcome{Text: errnoName(answer[0])}, nil
	}
	number, err := l.accept(s.Args[0], token, nil, a)
	if err != nil {
		return Outcome{}, err
	}
	if int(number) != answer[0] {
		return Outcome{Text: fmt.Sprintf("fork returned %d, the child is %d", answer[0], number)}, nil
	}
	return Outcome{Text: s.Args[0]}, nil
}

// returns waits for what a blocked call has come to; where the table says that it
// still blocks, it must.
func (l *Live) returns(a *liveActor, expect Kind) (Outcome, error) {
	s := a.pending
	if s == nil {
		return Outcome{}, errors.New("the actor is in no call")
	}
	if expect == Blocks {
		return Outcome{Kind: Blocks}, nil
	}
	answer, err := a.answer()
	if err != nil {
		return silence(*s, err)
	}
	a.pending = nil
	if s.Verb == "fork" {
		return Outcome{Text: l.told(a, answer[0])}, nil
	}
	return l.decode(a, *s, nil, answer)
}

// awaitBlock waits until a call sleeps in the kernel. If it returns instead, that
// is what is returned.
func (l *Live) awaitBlock(a *liveActor, s Step) (string, error) {
	calls := map[string]int{"wait4": unix.SYS_WAIT4, "waitid": unix.SYS_WAITID}
	want := strconv.Itoa(calls[s.Verb]) + " "
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		if err := a.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			return "", err
		}
		answer, err := a.readMessage()
		if err == nil {
			if a.owed > 0 {
				a.owed--
				continue
			}
			a.pending = nil
			out, err := l.decode(a, s, nil, answer)
			return out.Text, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return "", err
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", a.process.pid, a.tid))
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(string(text), want) {
			return "", nil
		}
	}
	return "", fmt.Errorf("%s neither sleeps nor returns", s)
}

func errnoName(n int) string { return unix.ErrnoName(syscall.Errno(-n)) }

// told is a number that an actor was given as an answer.
func (l *Live) told(a *liveActor, n int) string {
	name := l.name(a.process.space(), axprocess.PID(n))
	if !l.inside && strings.HasPrefix(name, "?") {
		return outside
	}
	return name
}

// World reads what /proc shows of all processes.
func (l *Live) World() (World, error) {
	w := World{}
	var text [1024]byte
	for _, p := range l.processes {
		if p.gone {
			continue
		}
		n, err := unix.Pread(p.stat, text[:], 0)
		if errors.Is(err, unix.ESRCH) {
			p.forget()
			continue
		} else if err != nil {
			return nil, err
		}
		stat, err := parseStat(text[:n])
		if err != nil {
			return nil, err
		}
		seen, err := l.seen(p, stat)
		if err != nil {
			seen = Seen{State: Busy} // a thread went while it was looked at: the next look will tell
		}
		w[p.name] = seen
	}
	return w, nil
}

// host is the name of a number outside.
func (l *Live) host(n int) string {
	if name, known := l.hostNames[n]; known {
		return name
	}
	return outside
}
