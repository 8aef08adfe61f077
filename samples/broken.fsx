// A layer with a bug; `./localattention verify samples/broken.fsx` finds it.
#load "../LocalAttention.fsx"
#r "../artifacts/bin/Verification.FSharp/release/FsCheck.dll"
#r "../artifacts/bin/Verification.FSharp/release/LocalAttention.Verification.dll"

open LocalAttention.Verification
open TorchSharp

type Tensor = torch.Tensor

/// Attention inside windows of 4×4 that are shifted by 2, as in every second block of Swin. After the shift some windows hold
/// tokens from opposite edges of the map, which must not see each other. The mask that Swin has for them is forgotten here.
type ShiftedWindows(channels: int64, heads: int64) as this =
    inherit torch.nn.Module<Tensor, Tensor>("ShiftedWindows")
    let qkv = torch.nn.Linear(channels, 3L * channels)
    let proj = torch.nn.Linear(channels, channels)
    do this.RegisterComponents()

    override _.forward map =
        let batch, rows, columns = map.shape[0], map.shape[1] / 4L, map.shape[2] / 4L
        let shifted = map.roll ([| -2L; -2L |], [| 1L; 2L |])

        let windows =
            shifted
                .view(batch, rows, 4L, columns, 4L, channels)
                .permute(0L, 1L, 3L, 2L, 4L, 5L)
                .reshape(-1L, 16L, channels)

        let parts =
            (qkv.call windows).view(-1L, 16L, 3L, heads, channels / heads).permute(2L, 0L, 3L, 1L, 4L).unbind
                0L

        let scores = parts[0].matmul(parts[1].transpose(2L, 3L))

        let mixed =
            scores.softmax(-1L).matmul(parts[2]).transpose(1L, 2L).reshape(-1L, 16L, channels)

        (proj.call mixed)
            .view(batch, rows, columns, 4L, 4L, channels)
            .permute(0L, 1L, 3L, 2L, 4L, 5L)
            .reshape(map.shape)
            .roll([| 2L; 2L |], [| 1L; 2L |])

/// The tokens of a row or column that share a window with one: windows begin at 2, 6, 10, …, and the first and last are halves.
let sharing length place =
    let first = (place + 2) / 4 * 4 - 2
    seq { max 0 first .. min length (first + 4) - 1 }

let promises =
    Promises.none
    |> Promises.moving (4, 4) 4
    |> Promises.reaching (fun size (row, column) ->
        Seq.allPairs (sharing size.Height row) (sharing size.Width column) |> Set.ofSeq)

let maps =
    Signature.Tokens(4, 16, 16).Where(fun size -> size.Height % 4 = 0 && size.Width % 4 = 0)

let subject =
    Subject.ofModule "shifted windows without a mask" maps promises (fun () -> new ShiftedWindows(4L, 2L))
    |> Subject.withCode "#load \"samples/broken.fsx\"\nBroken.subject"

// What `./localattention verify` looks at is what the script ends in.
subject
