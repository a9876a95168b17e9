package main

import (
	"errors"
	"strings"
)

// This file is about the shell's language: lists of pipelines of commands, as a
// line is typed.

// list is pipelines one after the other.
type list []item

// item is a pipeline and what follows it.
type item struct {
	pipeline
	sep string // ";", "&", "&&", "||"; "" at the end
}

// pipeline is commands whose output is the next one's input.
type pipeline []command

// command is words, or a list in parentheses.
type command struct {
	words    []string // unexpanded
	subshell list
}

// String returns the list as bash shows it in its job table.
func (l list) String() string {
	var b strings.Builder
	for i, it := range l {
		b.WriteString(it.pipeline.String())
		switch {
		case it.sep == "":
		case it.sep == ";":
			b.WriteString(";")
		default:
			b.WriteString(" " + it.sep)
		}
		if i < len(l)-1 {
			b.WriteString(" ")
		}
	}
	return b.String()
}

// String returns the pipeline as bash shows it in its job table.
func (p pipeline) String() string {
	parts := make([]string, len(p))
	for i, c := range p {
		if parts[i] = strings.Join(c.words, " "); c.subshell != nil {
			parts[i] = "( " + c.subshell.String() + " )"
		}
	}
	return strings.Join(parts, " | ")
}

var errSyntax = errors.New("syntax error")

// parse reads a line.
func parse(line string) (list, error) {
	p := &parser{tokens: scan(line)}
	l, err := p.list()
	if err == nil && p.at < len(p.tokens) {
		err = errSyntax
	}
	return l, err
}

// scan splits a line into words and operators. Quotes stay: what is in them is
// not expanded later.
func scan(line string) (tokens []string) {
	word, quote := "", byte(0)
	flush := func() {
		if word != "" {
			tokens = append(tokens, word)
			word = ""
		}
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0:
			if word += string(c); c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
			word += string(c)
		case c == '#' && word == "":
			return tokens
		case c == ' ' || c == '\t':
			flush()
		case strings.IndexByte("|&;()", c) >= 0:
			flush()
			op := string(c)
			if (c == '&' || c == '|') && i+1 < len(line) && line[i+1] == c {
				op += op
				i++
			}
			tokens = append(tokens, op)
		default:
			word += string(c)
		}
	}
	flush()
	return tokens
}

type parser struct {
	tokens []string
	at     int
}

func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *parser) list() (l list, err error) {
	for p.peek() != "" && p.peek() != ")" {
		it := item{}
		if it.pipeline, err = p.pipeline(); err != nil {
			return nil, err
		}
		switch op := p.peek(); op {
		case ";", "&", "&&", "||":
			it.sep = op
			p.at++
		}
		if l = append(l, it); it.sep == "" {
			break
		}
	}
	if n := len(l); n > 0 && (l[n-1].sep == "&&" || l[n-1].sep == "||") {
		return nil, errSyntax
	}
	return l, nil
}

func (p *parser) pipeline() (line pipeline, err error) {
	for {
		c, err := p.command()
		if err != nil {
			return nil, err
		}
		if line = append(line, c); p.peek() != "|" {
			return line, nil
		}
		p.at++
	}
}

func (p *parser) command() (c command, err error) {
	if p.peek() == "(" {
		p.at++
		if c.subshell, err = p.list(); err != nil {
			return c, err
		}
		if p.peek() != ")" || len(c.subshell) == 0 {
			return c, errSyntax
		}
		p.at++
		return c, nil
	}
	for p.peek() != "" && strings.IndexByte("|&;()", p.peek()[0]) < 0 {
		c.words = append(c.words, p.peek())
		p.at++
	}
	if len(c.words) == 0 {
		return c, errSyntax
	}
	return c, nil
}
