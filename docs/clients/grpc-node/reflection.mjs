// Asks a server what it serves, so that a client needs no .proto file of it.

import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, loadSync } from "@grpc/proto-loader";

const OPTIONS = { keepCase: true, longs: Number, enums: String, oneofs: true, defaults: true };
const own = fileURLToPath(new URL("reflection.proto", import.meta.url));
const { ServerReflection } = grpc.loadPackageDefinition(loadSync(own, OPTIONS)).grpc.reflection.v1;

/** Asks one question after the other on one stream. */
function ask(address, credentials, metadata, questions) {
  const client = new ServerReflection(address, credentials);
  return new Promise((resolve, reject) => {
    const answers = [];
    const stream = client.ServerReflectionInfo(metadata);
    stream.on("data", (answer) => answers.push(answer));
    stream.on("error", reject);
    stream.on("end", () => resolve(answers));
    questions.forEach((question) => stream.write(question));
    stream.end();
  }).finally(() => client.close());
}

/** A FileDescriptorSet: its one field is a list of files. */
function descriptorSet(files) {
  const parts = [];
  for (const file of files) {
    const length = [];
    for (let n = file.length; ; n >>>= 7) {
      length.push(n > 127 ? (n & 127) | 128 : n);
      if (n <= 127) break;
    }
    parts.push(Buffer.from([0x0a, ...length]), file);
  }
  return Buffer.concat(parts);
}

/** The names of the services, and a package tree with a client class for each of those wanted. */
export async function reflect(address, credentials, metadata, wanted) {
  const [list, ...answers] = await ask(address, credentials, metadata, [
    { list_services: "" },
    ...wanted.map((symbol) => ({ file_containing_symbol: symbol })),
  ]);
  const files = new Map();
  for (const { file_descriptor_response: found, error_response: error } of answers) {
    if (error) throw new Error(error.error_message);
    for (const file of found.file_descriptor_proto) files.set(file.toString("base64"), file);
  }
  const definition = loadFileDescriptorSetFromBuffer(descriptorSet([...files.values()]), OPTIONS);
  return {
    services: list.list_services_response.service.map(({ name }) => name),
    packages: grpc.loadPackageDefinition(definition),
  };
}
