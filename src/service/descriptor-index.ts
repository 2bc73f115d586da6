import { type DescExtension, type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** What server reflection looks up, over the files of some services and all that they import. */
export class DescriptorIndex {
  /** Full names, sorted. */
  readonly services: readonly string[];
  readonly #files = new Map<string, DescFile>();
  readonly #bySymbol = new Map<string, DescFile>();
  /** By the extended message's full name, then by number. */
  readonly #extensions = new Map<string, Map<number, DescExtension>>();
  readonly #messages = new Set<string>();
  readonly #encoded = new Map<DescFile, Uint8Array<ArrayBuffer>>();

  constructor(services: readonly DescService[]) {
    this.services = services.map(({ typeName }) => typeName).sort();
    for (const { file } of services) this.#add(file);
  }

  /** @param name as imported: `sluice/v1/model.proto` */
  fileByName(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  /** Of a service, method, message, field, oneof, enum, enum value or extension, by its full name. */
  fileBySymbol(symbol: string): DescFile | undefined {
    return this.#bySymbol.get(symbol);
  }

  fileByExtension(extendee: string, number: number): DescFile | undefined {
    return this.#extensions.get(extendee)?.get(number)?.file;
  }

  /** Ascending; undefined when there is no such message. */
  extensionNumbers(extendee: string): readonly number[] | undefined {
    if (!this.#messages.has(extendee)) return undefined;
    return [...(this.#extensions.get(extendee)?.keys() ?? [])].sort((a, b) => a - b);
  }

  /** The file as a serialized FileDescriptorProto. */
  encode(file: DescFile): Uint8Array<ArrayBuffer> {
    let bytes = this.#encoded.get(file);
    if (bytes === undefined) {
      bytes = toBinary(FileDescriptorProtoSchema, file.proto);
      this.#encoded.set(file, bytes);
    }
    return bytes;
  }

  #add(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const dependency of file.dependencies) this.#add(dependency);
    for (const type of nestedTypes(file)) {
      this.#bySymbol.set(type.typeName, file);
      switch (type.kind) {
        case 'message':
          this.#messages.add(type.typeName);
          for (const { name } of [...type.fields, ...type.oneofs]) this.#addChild(type.typeName, name, file);
          break;
        case 'service':
          for (const { name } of type.methods) this.#addChild(type.typeName, name, file);
          break;
        case 'enum': {
          // Values live beside their enum, not in it (descriptor.proto, EnumValueDescriptorProto).
          const scope = type.typeName.slice(0, -type.name.length - 1);
          for (const { name } of type.values) this.#addChild(scope, name, file);
          break;
        }
        case 'extension':
          this.#addExtension(type);
          break;
      }
    }
  }

  #addChild(parent: string, name: string, file: DescFile): void {
    this.#bySymbol.set(parent === '' ? name : `${parent}.${name}`, file);
  }

  #addExtension(extension: DescExtension): void {
    const { typeName } = extension.extendee;
    const byNumber = this.#extensions.get(typeName) ?? new Map<number, DescExtension>();
    this.#extensions.set(typeName, byNumber.set(extension.number, extension));
  }
}
