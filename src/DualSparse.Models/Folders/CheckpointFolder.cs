using DualSparse.Models.Safetensors;

namespace DualSparse.Models;

/// <summary>Makes a checkpoint's folder from another's: whole or not at all.</summary>
internal static class CheckpointFolder
{
    /// <summary>The path of a folder to come.</summary>
    /// <exception cref="ArgumentException">It has no name.</exception>
    /// <exception cref="IOException">It exists already and is not an empty folder, or can't be made: better said now than after hours of work.</exception>
    public static string Free(string output)
    {
        if (string.IsNullOrWhiteSpace(output))
            throw new ArgumentException("the folder to make has no name");
        output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        // An empty folder holds nothing that could be lost: who made it beforehand means it.
        if (Path.Exists(output) && !(Directory.Exists(output) && !Directory.EnumerateFileSystemEntries(output).Any()))
            throw new IOException($"{output} exists already{(Directory.Exists(output) ? " and is not empty" : "")}: name a folder that doesn't");
        string? place = Path.GetDirectoryName(output);
        while (place is not null && !Path.Exists(place))
            place = Path.GetDirectoryName(place);
        try
        {
            string probe = Temporary(Directory.Exists(output) ? output : Path.Combine(place ?? output, Path.GetFileName(output)));
            Directory.CreateDirectory(probe);
            Directory.Delete(probe);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{output}: no folder can be made there; is {place} a folder that this user may write to?", e);
        }

        return output;
    }

    /// <summary>
    /// Fills a temporary folder and gives it the target's name; where filling fails, nothing stays behind. An empty folder that is there is
    /// kept, since it may be a link or where a disk is mounted: the temporary one is inside, and its files move up.
    /// </summary>
    /// <param name="output">What <see cref="Free"/> returned.</param>
    /// <param name="fill">Writes everything into the folder it is given.</param>
    public static void Make(string output, Action<string> fill)
    {
        string temporary = Temporary(output);
        Directory.CreateDirectory(temporary);
        try
        {
            fill(temporary);
            if (Path.GetDirectoryName(temporary) == output)
                MoveUp(temporary, output);
            else
                Directory.Move(temporary, output);
        }
        catch
        {
            Directory.Delete(temporary, recursive: true);
            throw;
        }
    }

    private static void MoveUp(string temporary, string output)
    {
        if (Directory.EnumerateFileSystemEntries(output).Any(entry => entry != temporary))
            throw new IOException($"{output} is no longer empty: name a folder that nobody else writes to");
        // Files first: what makes a folder more than a model's, such as the state of a training run, is there only once all else is.
        foreach (string entry in Directory.GetFileSystemEntries(temporary).OrderBy(Directory.Exists))
            Directory.Move(entry, Path.Combine(output, Path.GetFileName(entry)));
        Directory.Delete(temporary);
    }

    private static string Temporary(string output) => Directory.Exists(output) ? Path.Combine(output, $"{Environment.ProcessId}.tmp") : $"{output}.{Environment.ProcessId}.tmp";

    /// <summary>Appends a tensor as it is.</summary>
    public static void Append(CheckpointWriter writer, TensorView tensor)
    {
        if (tensor.ByteLength <= int.MaxValue)
        {
            writer.AppendBytes(tensor.Name, tensor.Bytes);
            return;
        }

        for (long r = 0; r < tensor.Rows; r++)
            writer.AppendBytes(tensor.Name, tensor.RowBytes(r));
    }
}
