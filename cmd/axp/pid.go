package main

import (
	"fmt"
	"strconv"

	"axprocess"
)

// maxPID is the highest number a process can have on Linux (PID_MAX_LIMIT - 1).
const maxPID = 1<<22 - 1

// parsePID reads a process id as a person types it.
func parsePID(s string) (axprocess.PID, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > maxPID {
		return 0, fmt.Errorf("%q is not a process id (1 to %d)", s, maxPID)
	}
	return axprocess.PID(n), nil
}
