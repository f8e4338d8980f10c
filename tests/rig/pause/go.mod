module rig.binderbox.test/pause

go 1.21
