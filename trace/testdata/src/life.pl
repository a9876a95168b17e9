# fork, waitpid in its forms, kill, pipes, setsid.
use POSIX qw(:sys_wait_h setsid);
$SIG{CHLD} = sub { };
for my $i (1 .. 4) { my $p = fork(); if (!$p) { select(undef, undef, undef, 0.005 * $i); exit $i } }
while ((my $k = waitpid(-1, 0)) > 0) { }
my $out = `echo hello; exit 3`;
open(my $f, "-|", "seq 3 | sort") or die; my @l = <$f>; close $f;
system("exit 2");
my $p = fork(); if (!$p) { setsid(); sleep 30; exit 0 }
select(undef, undef, undef, 0.01);
waitpid($p, WNOHANG);
kill 'TERM', $p; waitpid($p, 0);
if (!fork()) { exec "/bin/true" } wait;
local $SIG{CHLD} = 'IGNORE';
for (1 .. 2) { if (!fork()) { exit 0 } }
1 while wait() > 0;
