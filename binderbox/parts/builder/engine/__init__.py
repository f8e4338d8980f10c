"""The part that runs inside a build pod: repo2docker's engine that hands the build to the node's door."""
