// A model of one's own, wherever the command line takes a MODEL: `./localattention diff swin-tiny samples/command-line/wider.fsx`.
open LocalAttention.Dsl

Swin.tiny
|> inStages [ 1; 2 ] (attention (slide 3))
|> scaleWidth 1.25
|> named "wider"
