#!/usr/bin/perl
# A CGI script as people have them: it starts an interpreter, reads its query and writes a page.
use strict;
use warnings;

my %asked = map { split /=/, $_, 2 } grep { /=/ } split /[&;]/, $ENV{QUERY_STRING} // '';
my $rows = ($asked{rows} // '') =~ /\A(\d{1,5})\z/ ? $1 : 10;

print "Content-Type: text/html\r\n\r\n<table>\n";
print "<tr><td>$_</td><td>", sqrt($_), "</td></tr>\n" for 1 .. $rows;
print "</table>\n";
