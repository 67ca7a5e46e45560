"""Pictures of a training and of what a classifier does: one job a file, arrays in, a PNG out.

`curves.plot_curves`, `samples.plot_samples`, `confusion.plot_confusion`, `mistakes.plot_mistakes`,
`seeds.plot_seeds`, `shift.plot_shift`.
"""
