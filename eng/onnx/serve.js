// Runs ONNX files: each line of standard input is a request, each line of standard output its answer, both in JSON.
//   {"model": FILE, "inputs": [{"file": FILE, "shape": [...]}, ...]}
//   {"name": INPUT, "outputs": [{"file": FILE, "name": OUTPUT, "shape": [...]}, ...], "milliseconds": [...]}   or   {"error": MESSAGE}
// Tensors are raw little-endian float32; an output lies beside its input, as FILE.output.
'use strict';

const fs = require('fs');
const readline = require('readline');
const ort = require('onnxruntime-node');

function read(file) {
    const bytes = fs.readFileSync(file);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

async function answer(request) {
    const session = await ort.InferenceSession.create(request.model, {logSeverityLevel: 3, intraOpNumThreads: 2});
    try {
        const name = session.inputNames[0];
        const outputs = [];
        const milliseconds = [];
        for (const input of request.inputs) {
            const feeds = {[name]: new ort.Tensor('float32', read(input.file), input.shape)};
            const begin = performance.now();
            const results = await session.run(feeds);
            milliseconds.push(performance.now() - begin);
            const output = results[session.outputNames[0]];
            const file = input.file + '.output';
            fs.writeFileSync(file, Buffer.from(output.data.buffer, output.data.byteOffset, output.data.byteLength));
            outputs.push({file, name: session.outputNames[0], shape: output.dims});
        }
        return {name, outputs, milliseconds};
    } finally {
        await session.release();
    }
}

async function serve() {
    for await (const line of readline.createInterface({input: process.stdin})) {
        let reply;
        try {
            reply = await answer(JSON.parse(line));
        } catch (error) {
            reply = {error: String(error.message ?? error)};
        }
        process.stdout.write(JSON.stringify(reply) + '\n');
    }
}

serve();
