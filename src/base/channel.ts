/** A way to another process: values that JSON can hold, whole and in their order. */
export interface Channel {
  /** Never throws; what can't be delivered any more is dropped, and `onClose` is called. */
  send(message: unknown): void;
  /** There is one listener. */
  listen(listener: (message: unknown) => void): void;
  /** Calls back once, when everything that came has been heard and nothing more will come. */
  onClose(listener: () => void): void;
}
