using DualSparse.Models;
using SharpCompress.Compressors.Xz;

namespace DualSparse.Evaluation.Tasks;

/// <summary>Tasks as the user supplies them: <c>TASK.jsonl</c> or <c>TASK.jsonl.xz</c> in one folder, one JSON object a line.</summary>
internal static class TaskFile
{
    /// <summary>The tasks that can be read.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. TaskFormat.All.Select(t => t.Name)];

    /// <summary>The tasks that a text names.</summary>
    /// <param name="list">Names between commas, or <c>all</c>: those that are known.</param>
    /// <param name="folder">Where files of other names are looked for.</param>
    /// <returns>Each once, as listed.</returns>
    /// <exception cref="ArgumentException">There is no such task.</exception>
    public static IReadOnlyList<string> Named(string list, string folder)
    {
        ArgumentNullException.ThrowIfNull(list);
        if (list.Trim().Equals("all", StringComparison.OrdinalIgnoreCase))
            return Names;
        string[] names = [.. list.Split(',', StringSplitOptions.TrimEntries).Select(name => Names.FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase)) ?? name).Distinct()];
        foreach (string name in names)
            Format(folder, name);
        return names;
    }

    /// <summary>Reads a task's rows.</summary>
    /// <param name="folder">Where its file lies.</param>
    /// <param name="task">Its name.</param>
    /// <param name="limit">At most so many rows: the first ones, of blimp every ⌈rows / limit⌉-th; null: all.</param>
    /// <exception cref="ModelFormatException">There is no such file, or it is damaged.</exception>
    /// <exception cref="Models.Pictures.PictureException">A picture is an address on the web, or there is no such file.</exception>
    /// <exception cref="ArgumentException">There is no such task, or the limit isn't positive.</exception>
    public static TaskSet Read(string folder, string task, int? limit = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var format = Format(folder, task);
        if (limit < 1)
            throw new ArgumentException($"the limit is {limit} rows, expected at least 1");
        string file = Files(folder, task).FirstOrDefault(File.Exists) ?? throw Missing(folder, task);
        try
        {
            var lines = file.EndsWith(".xz", StringComparison.Ordinal) ? JsonLine.Split(Unpacked(file), file) : JsonLine.Read(file);
            var items = Chosen(lines, limit ?? int.MaxValue, format.Spread).Select(line => Item(format, new TaskRow(line.Parse()), folder)).ToList();
            return items.Count > 0 ? new TaskSet(task, format.Judgement, items) : throw new ModelFormatException($"{file} holds no row");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(file, e);
        }
    }

    private static TaskItem Item(TaskFormat format, TaskRow row, string folder) => format.Read(row) with { Pictures = row.Pictures(folder) };

    // A file of another name has queries with choices.
    private static TaskFormat Format(string folder, string task) =>
        TaskFormat.All.FirstOrDefault(t => t.Name == task)
        ?? (Files(folder, task).Any(File.Exists) ? TaskFormat.Other(task)
            : throw new ArgumentException($"there is no task '{task}', expected all or some of {string.Join(", ", Names)}, or the name of a file of queries with choices in {folder}"));

    private static string[] Files(string folder, string task) => [Path.Combine(folder, $"{task}.jsonl"), Path.Combine(folder, $"{task}.jsonl.xz")];

    private static ModelFormatException Missing(string folder, string task) => new(Directory.Exists(folder)
        ? $"{folder} has neither {task}.jsonl nor {task}.jsonl.xz"
        : $"{folder}: there is no such folder; give the one that has {task}.jsonl or {task}.jsonl.xz");

    private static byte[] Unpacked(string file)
    {
        using var stream = File.OpenRead(file);
        byte[] start = new byte[64];
        if (ForeignFile.Pointer(start.AsSpan(0, stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false))) is { } pointer)
            throw new ModelFormatException($"{file}: {pointer}");
        stream.Position = 0;
        var text = new MemoryStream();
        try
        {
            new XZStream(stream).CopyTo(text);
        }
        // The library meets damage with exceptions of many kinds, range checks among them.
        catch (Exception e) when (e is not (OutOfMemoryException or IOException))
        {
            throw new ModelFormatException($"{file} is not a whole xz file: {e.Message}", e);
        }

        return text.ToArray();
    }

    private static IEnumerable<JsonLine> Chosen(IReadOnlyList<JsonLine> lines, int limit, bool spread)
    {
        if (!spread)
            return lines.Take(limit);
        int step = Math.Max(1, (int)(((long)lines.Count + limit - 1) / limit));
        return lines.Where((_, i) => i % step == 0);
    }
}
