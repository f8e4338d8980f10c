# Answers a token on port 80, until it was asked for or 20 s are over. perl-base is on every Debian and Ubuntu.
# Each second it writes to its ssh session, and ends with it.
use strict; use IO::Socket::INET; use IO::Select;
my ($path, $token) = @ARGV;
$| = 1; $SIG{ALRM} = sub { exit 3 }; alarm 20;
my $door = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 80, Listen => 16, ReuseAddr => 1)
  or do { print "cannot listen: $!\n"; exit 2 };
print "listening\n";
my $waiting = IO::Select->new($door);
while (1) {
  print ".\n";
  next unless $waiting->can_read(1);
  my $visitor = $door->accept or next;
  $visitor->timeout(2);
  next unless IO::Select->new($visitor)->can_read(2);
  my $asked = ''; sysread $visitor, $asked, 4096;
  my $found = index($asked, "GET $path ") == 0;
  my $body = $found ? "$token\n" : "nothing here\n";
  syswrite $visitor, ($found ? "HTTP/1.1 200 OK" : "HTTP/1.1 404 Not Found")
    . "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
  shutdown $visitor, 1; close $visitor;
  exit 0 if $found;
}
