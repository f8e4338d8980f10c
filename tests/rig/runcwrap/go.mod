module binderbox/tests/rig/runcwrap

go 1.26.0
