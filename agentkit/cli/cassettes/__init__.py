"""`agentkit cassettes`: recordings listed, shown, compared, reviewed, checked and thinned out in a terminal."""
