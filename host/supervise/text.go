package supervise

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// appendText appends s as a JSON string that keeps each byte.
func appendText(to []byte, s string) []byte {
	if utf8.ValidString(s) {
		quoted, _ := json.Marshal(s) // a string can always be written
		return append(to, quoted...)
	}
	to = append(to, '"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			to = fmt.Appendf(to, `\udc%02x`, s[0])
		} else {
			quoted, _ := json.Marshal(s[:n])
			to = append(to, quoted[1:len(quoted)-1]...)
		}
		s = s[n:]
	}
	return append(to, '"')
}
