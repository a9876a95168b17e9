package conformance

import (
	"fmt"
	"strconv"
	"strings"

	"axprocess"
)

// This file is about what stands for a name: a number in each pid namespace that
// sees whoever has the name.

// numbers is what is known of numbers on one side. A namespace is a number too:
// its unique id in the table, its inode in /proc.
type numbers struct {
	of    map[string]map[uint64]axprocess.PID
	names map[uint64]map[axprocess.PID]string // of the last one born with a number
}

func newNumbers() numbers {
	return numbers{map[string]map[uint64]axprocess.PID{}, map[uint64]map[axprocess.PID]string{}}
}

// learn says that name goes by n in a namespace.
func (k numbers) learn(name string, space uint64, n axprocess.PID) {
	if k.of[name] == nil {
		k.of[name] = map[uint64]axprocess.PID{}
	}
	if k.names[space] == nil {
		k.names[space] = map[axprocess.PID]string{}
	}
	k.of[name][space], k.names[space][n] = n, name
}

// inherit says that name goes by the numbers of another name from now on.
func (k numbers) inherit(name, from string) { k.of[name] = k.of[from] }

// name returns what a number is called in a namespace, or "?n".
func (k numbers) name(space uint64, n axprocess.PID) string {
	if n == 0 {
		return "0"
	}
	if name, known := k.names[space][n]; known {
		return name
	}
	return fmt.Sprintf("?%d", n)
}

// pid reads a number, "any", a name, or -name for a group, as an actor in a
// namespace means it.
func (k numbers) pid(space uint64, word string) (axprocess.PID, error) {
	if n, err := strconv.ParseInt(word, 10, 32); err == nil {
		return axprocess.PID(n), nil
	}
	if word == "any" {
		return axprocess.WaitAny, nil
	}
	name, minus := strings.CutPrefix(word, "-")
	if k.of[name] == nil {
		return 0, fmt.Errorf("nobody is named %q", name)
	}
	n, known := k.of[name][space]
	if !known {
		return 0, fmt.Errorf("%s has no number for the actor", name)
	}
	if minus {
		n = -n
	}
	return n, nil
}
