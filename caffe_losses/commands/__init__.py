"""The commands of `caffe-losses`, one a file: what each takes on its command line, and what it prints.

Each has `add_parser(commands)`, which adds it to the subparsers of `argparse`.
"""
