package replay

import (
	"strconv"
	"strings"

	"axprocess/trace/strace"
)

// maxArgs is how much of a command is kept for the tree.
const maxArgs = 8

// argv reads what execve was given: its arguments, or the file alone.
func argv(args string) []string {
	parts := strace.Split([]byte(args), nil)
	if len(parts) == 0 {
		return nil
	}
	file := unquote(string(parts[0]))
	if len(parts) < 2 || len(parts[1]) == 0 || parts[1][0] != '[' {
		return []string{file}
	}
	words := []string{file}
	for i, word := range strace.Split(parts[1][1:max(len(parts[1])-1, 1)], nil) {
		if i == 0 {
			continue
		}
		if len(words) == maxArgs {
			break
		}
		words = append(words, unquote(string(word)))
	}
	return words
}

// unquote reads a string as strace prints it; what is cut keeps its dots.
func unquote(s string) string {
	s, cut := strings.CutSuffix(s, "...")
	if out, err := strconv.Unquote(s); err == nil {
		s = out
	}
	if cut {
		s += "…"
	}
	return s
}
