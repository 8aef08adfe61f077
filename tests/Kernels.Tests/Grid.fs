/// Layers of every kind, mode, window, stride and padding, on maps of every awkward size: one after the other, where the
/// random search of `Agreement` combines them.
module LocalAttention.Kernels.Tests.Grid

open System
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases

let private case (attention: Attention) channels (height: int, width: int) : LayerCase =
    { Attention = attention
      Inputs = channels
      Outputs = channels
      Stride = 1
      Upsampling = 1
      Pools = false
      Map = ImageSize(height, width)
      Batch = 2
      Seed = 7 }

/// One pixel, lines, maps smaller than the window, sides that are no multiple of anything.
let private maps = [ 1, 1; 1, 5; 6, 1; 2, 3; 7, 9 ]

/// Channels and heads: head widths of 1, of odd numbers, of a vector's lanes, of less and of more than those.
let private widths = [ 4, 4; 6, 2; 16, 2; 20, 1; 32, 1; 34, 2 ]

let private qnaModes =
    [ for scale in Enum.GetValues<AttentionScale>() do
          for position in Enum.GetValues<PositionBias>() ->
              QnAAttention(3, 2, Scale = scale, Position = position) ]

let private qna =
    [ for mode in qnaModes -> case mode 8 (5, 6)
      // A normalised query of one number is a sign, whose gradient cancels to nothing.
      for channels, heads in widths -> case (QnAAttention(3, heads, Norm = QueryNorm.Free)) channels (6, 7)
      for window in [ 1; 3; 5; 7; 9; 15 ] do
          for map in maps -> case (QnAAttention(window, 2)) 8 map
      for position in [ PositionBias.Relative; PositionBias.None ] do
          for window in [ 5; 7; 15 ] ->
              case (QnAAttention(window, 2, Scale = AttentionScale.None, Position = position)) 8 (20, 17)
      for queries in [ 1; 2; 3; 5 ] -> case (QnAAttention(3, 2, Queries = queries)) 8 (4, 5)
      for stride in [ 2; 3; 5 ] do
          for window in [ 1; 3; 7 ] ->
              { case (QnAAttention(window, 2)) 8 (7, 10) with
                  Stride = stride
                  Outputs = 12 }
      for factor in [ 2; 3 ] do
          for window in [ 1; 3; 5 ] ->
              { case (QnAAttention(window, 2)) 8 (4, 5) with
                  Upsampling = factor
                  Outputs = 4 }
      for side in [ 1; 2; 3; 4; 5 ] ->
          { case (QnAAttention(side, 2)) 8 (side, side) with
              Pools = true } ]

let private slide =
    [ for padding in Enum.GetValues<EdgePadding>() do
          for window in [ 1; 3; 5; 7 ] do
              for deformed in [ true; false ] ->
                  case (SlideAttention(window, 2, Padding = padding, Deformed = deformed)) 6 (7, 9)
      for channels, heads in widths do
          for deformed in [ true; false ] ->
              case (SlideAttention(3, heads, Deformed = deformed)) channels (4, 7)
      for padding in [ EdgePadding.Zeros; EdgePadding.Replicate ] do
          for map in maps -> case (SlideAttention(5, 2, Padding = padding)) 6 map
      yield case (SlideAttention(3, 2, QkvBias = false, Scale = Nullable 0.3)) 8 (5, 18) ]

let private orders = Enum.GetValues<QkvOrder>() |> List.ofArray

let private window =
    [ for order in orders do
          for shifted in [ false; true ] do
              for bias in [ true; false ] do
                  for map in [ 4, 6; 5, 7; 1, 1; 2, 9 ] ->
                      case
                          (WindowAttention(2, 2, Shifted = shifted, PositionBias = bias, Order = order))
                          6
                          map
      for side in [ 1; 3; 5; 7; 8 ] do
          for shifted in [ false; true ] -> case (WindowAttention(side, 2, Shifted = shifted)) 8 (9, 15)
      for channels, heads in widths -> case (WindowAttention(3, heads)) channels (6, 6)
      for order in orders do
          for map in maps @ [ 14, 15 ] -> case (GlobalAttention(2, Order = order)) 6 map
      for channels, heads in widths -> case (GlobalAttention heads) channels (3, 5) ]

let private enhanced =
    [ for stripe in [ 1; 2; 3; 7; 20 ] do
          for map in maps -> case (CrossShapedAttention(stripe, 2)) 8 map
      for channels, heads in widths do
          if heads % 2 = 0 then
              yield case (CrossShapedAttention(2, heads)) channels (6, 5)
      yield case (CrossShapedAttention(2, 4, QkvBias = false)) 8 (14, 17)
      for order in orders do
          for map in maps -> case (GlobalAttention(2, Order = order, LocallyEnhanced = true)) 6 map
      for channels, heads in widths -> case (GlobalAttention(heads, LocallyEnhanced = true)) channels (3, 5) ]

let private reduced =
    [ for reduction in [ 1; 2; 4 ] do
          for map in maps -> case (SpatialReductionAttention(reduction, 2)) 6 map
      yield case (SpatialReductionAttention(1, 2, QkvBias = false)) 6 (4, 5)
      for pool in [ 1; 3 ] do
          for map in maps -> case (PooledAttention(pool, 2)) 6 map ]

/// Maps that hold the window and maps that are padded to it.
let private neighbourhood =
    [ for window, dilation in [ 1, 1; 3, 1; 5, 1; 3, 2 ] do
          for map in maps -> case (NeighbourhoodAttention(window, 2, Dilation = dilation)) 6 map
      for channels, heads in widths -> case (NeighbourhoodAttention(3, heads)) channels (4, 5)
      yield case (NeighbourhoodAttention(7, 2, Dilation = 2, PositionBias = false)) 8 (15, 17) ]

/// All of them.
let all = qna @ slide @ window @ enhanced @ reduced @ neighbourhood
