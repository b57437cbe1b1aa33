/** Why a file that a person named cannot be read, in words for that person. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "it may not be read",
  EPERM: "it may not be read",
  EISDIR: "it is a folder",
};

/** The reason in what the file system threw; its own words where there are no better ones. */
export const fileTrouble = (thrown: unknown): string => {
  const { code = "", message } = thrown as NodeJS.ErrnoException;
  return reasons[code] ?? message;
};
