/// Products: matrices, batches, Einstein's sums, linear layers, scaled dot-product attention.
module LocalAttention.Tests.LinearMaps

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

type private Functional = torch.nn.functional

let private a = matrix [ [ 1.0; 2.0 ]; [ 3.0; 4.0 ] ]
let private b = matrix [ [ 5.0; 6.0 ]; [ 7.0; 8.0 ] ]
let private product = [ 19.0; 22.0; 43.0; 50.0 ]

let private products =
    testList
        "products"
        [ test "of matrices, by every name" {
              a.matmul b |> holds [ 2L; 2L ] product
              a.mm b |> holds [ 2L; 2L ] product
              torch.matmul (a, b) |> holds [ 2L; 2L ] product
          }
          test "of vectors: dot, matrix times vector, outer" {
              let v, w = vector [ 1.0; 2.0 ], vector [ 3.0; 4.0 ]
              v.dot w |> holds [] [ 11.0 ]
              a.matmul v |> holds [ 2L ] [ 5.0; 11.0 ]
              v.outer w |> holds [ 2L; 2L ] [ 3.0; 4.0; 6.0; 8.0 ]
          }
          test "of batches; matmul broadcasts the leading dimensions" {
              let batch = torch.stack [| a; b |]

              batch.bmm (torch.stack [| b; b |])
              |> holds [ 2L; 2L; 2L ] (product @ elements (b.mm b))

              batch.matmul b |> holds [ 2L; 2L; 2L ] (product @ elements (b.mm b))

              Expect.equal
                  (shape (torch.zeros([| 3L; 1L; 2L; 4L |]).matmul(torch.zeros [| 5L; 4L; 2L |])))
                  [ 3L; 5L; 2L; 2L ]
                  "sizes"
          }
          test "that add: addmm and baddbmm" {
              b.addmm (a, b) |> holds [ 2L; 2L ] (List.map2 (+) product (elements b))

              torch.baddbmm (b.unsqueeze 0L, a.unsqueeze 0L, b.unsqueeze 0L)
              |> holds [ 1L; 2L; 2L ] (List.map2 (+) product (elements b))
          }
          test "of turned matrices equal those of their copies" {
              a.t().mm b |> isNearly 1 (a.t().contiguous().mm b)
          } ]

let private einstein =
    testList
        "einsum"
        [ test "matrix product, trace, transpose, sum" {
              torch.einsum ("ij,jk->ik", a, b) |> holds [ 2L; 2L ] product
              torch.einsum ("ii", a) |> holds [] [ 5.0 ]
              torch.einsum ("ij->ji", a) |> holds [ 2L; 2L ] [ 1.0; 3.0; 2.0; 4.0 ]
              torch.einsum ("ij->", a) |> holds [] [ 10.0 ]
          }
          test "the ellipsis carries batch dimensions" {
              torch.einsum ("...ij,...jk->...ik", torch.stack [| a; b |], torch.stack [| b; b |])
              |> holds [ 2L; 2L; 2L ] (product @ elements (b.mm b))
          }
          test "three operands" {
              torch.einsum ("i,ij,j->", vector [ 1.0; 1.0 ], a, vector [ 1.0; 2.0 ])
              |> holds [] [ 16.0 ]
          }
          test "attention's pattern" {
              let q, k = counting [ 1L; 2L; 2L; 3L ], counting [ 1L; 2L; 2L; 3L ]

              torch.einsum ("bhqd,bhkd->bhqk", q, k)
              |> isNearly 4 (q.matmul (k.transpose (-2L, -1L)))
          } ]

let private layers =
    testList
        "linear layers"
        [ test "linear is x Wᵀ + b" {
              Functional.linear (vector([ 1.0; 2.0 ]).unsqueeze 0L, a, vector [ 10.0; 20.0 ])
              |> holds [ 1L; 2L ] [ 15.0; 31.0 ]
          }
          test "linear acts on the last dimension of any shape" {
              Expect.equal
                  (shape (Functional.linear (torch.zeros [| 2L; 3L; 4L; 2L |], a)))
                  [ 2L; 3L; 4L; 2L ]
                  "shape"
          }
          test "scaled dot-product attention is softmax(q kᵀ / √d) v" {
              let q, k, v =
                  vector([ 1.0; 2.0; 0.5; -1.0 ]).view(1L, 2L, 2L),
                  counting [ 1L; 3L; 2L ],
                  counting [ 1L; 3L; 2L ]

              let byHand = (q.matmul (k.transpose (1L, 2L)) / sqrt 2.0).softmax(-1L).matmul v
              Functional.scaled_dot_product_attention (q, k, v) |> isNearly 8 byHand
          }
          test "scaled dot-product attention adds a mask of numbers" {
              let q, k, v =
                  counting [ 1L; 1L; 2L ], counting [ 1L; 2L; 2L ], counting [ 1L; 2L; 2L ]

              let onlyFirst = matrix [ [ 0.0; -infinity ] ]

              Functional.scaled_dot_product_attention (q, k, v, onlyFirst)
              |> isNearly 1 (v[0L, 0L].view(1L, 1L, 2L))
          } ]

let tests = testList "linear maps" [ products; einstein; layers ]
