package host

// State is what a process or thread is doing, as the kernel's letter says it,
// but for what the letter hides: a Z is a zombie only if no thread lives.
type State uint8

// The states, by the kernel's letters (proc_pid_stat(5); kernel
// fs/proc/array.c: task_state_array).
const (
	Unknown      State = iota
	Running            // R
	Sleeping           // S
	DiskSleep          // D
	Stopped            // T: by job control
	Traced             // t: by a tracer
	Idle               // I: a kernel thread's
	Dead               // X: on its way out
	Zombie             // Z, and no thread lives
	LeaderExited       // Z, and other threads live
	Parked             // P: a kernel thread's
)

var stateWords = [...]string{"unknown", "running", "sleeping", "disk-sleep", "stopped",
	"traced", "idle", "dead", "zombie", "leader-exited", "parked"}

// String returns the state's word, as JSON outputs have it.
func (s State) String() string {
	if int(s) < len(stateWords) {
		return stateWords[s]
	}
	return stateWords[Unknown]
}

// ParseState returns the state of a word, and whether there is one.
func ParseState(word string) (State, bool) {
	for s, w := range stateWords {
		if w == word {
			return State(s), true
		}
	}
	return Unknown, false
}

// States returns the words of all states that a process can be found in.
func States() []string { return append([]string(nil), stateWords[Running:]...) }

// stateOf returns the state of a letter.
func stateOf(letter string) State {
	switch letter {
	case "R":
		return Running
	case "S":
		return Sleeping
	case "D":
		return DiskSleep
	case "T":
		return Stopped
	case "t":
		return Traced
	case "I":
		return Idle
	case "X", "x":
		return Dead
	case "Z":
		return Zombie
	case "P":
		return Parked
	}
	return Unknown
}
