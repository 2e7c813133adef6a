"""Who is asking: sign-in by a code in a mail, links that a project hands out, and the sessions they lead to."""
