using System.Text.Json;

namespace DualSparse.Models.Safetensors;

/// <summary>
/// Writes a checkpoint's tensors into a folder: one <c>NAME.safetensors</c>, or several shards of at most a given size and their index.
/// Tensors are appended in the order declared. Nothing has its name before <see cref="Commit"/>.
/// </summary>
internal sealed class CheckpointWriter : IDisposable
{
    private readonly string folder, name;
    private readonly List<List<TensorDeclaration>> shards;
    private readonly Dictionary<string, int> shardOf = new(StringComparer.Ordinal);
    private readonly List<SafetensorsWriter> writers = [];

    /// <summary>Plans the shards and starts the first.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="tensors">All tensors, in the order in which they will be appended.</param>
    /// <param name="maxShardBytes">The most bytes of data in a shard; a larger tensor gets a shard of its own.</param>
    /// <param name="name">What the files' names begin with (<see cref="ModelConfig.WeightsName"/>).</param>
    /// <exception cref="ArgumentException">A name stands there twice.</exception>
    /// <exception cref="IOException">A file can't be made, or the disk has no room for it.</exception>
    public CheckpointWriter(string folder, IReadOnlyList<TensorDeclaration> tensors, long maxShardBytes = 5_000_000_000, string name = "model")
    {
        (this.folder, this.name) = (folder, name);
        shards = [[]];
        long bytes = 0;
        foreach (var tensor in tensors)
        {
            if (shards[^1].Count > 0 && tensor.ByteLength > maxShardBytes - bytes)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(tensor);
            bytes += tensor.ByteLength;
            if (!shardOf.TryAdd(tensor.Name, shards.Count - 1))
                throw new ArgumentException($"tensor '{tensor.Name}' is declared twice", nameof(tensors));
        }

        Start(0);
    }

    /// <summary>Appends elements to a tensor, rounded to its type, as <see cref="SafetensorsWriter.Append"/> does.</summary>
    /// <exception cref="InvalidOperationException">It isn't this tensor's turn, or there would be too many elements.</exception>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public void Append(string tensor, ReadOnlySpan<float> values) => WriterOf(tensor).Append(tensor, values);

    /// <summary>Appends a tensor's bytes as they are.</summary>
    /// <exception cref="InvalidOperationException">It isn't this tensor's turn, or there would be too many bytes.</exception>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public void AppendBytes(string tensor, ReadOnlySpan<byte> bytes) => WriterOf(tensor).AppendBytes(tensor, bytes);

    /// <summary>Gives all files their names, the index last.</summary>
    /// <exception cref="InvalidOperationException">A tensor is not complete.</exception>
    /// <exception cref="IOException">Writing failed.</exception>
    public void Commit()
    {
        while (writers.Count < shards.Count)
            Start(writers.Count);
        foreach (var writer in writers)
            writer.Commit();
        if (shards.Count == 1)
            return;
        string index = Path.Combine(folder, ShardIndex.NameOf(name)), temporary = $"{index}.{Environment.ProcessId}.tmp";
        try
        {
            using (var stream = File.Create(temporary))
                WriteIndex(stream);
            File.Move(temporary, index, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            File.Delete(temporary);
            throw new IOException($"{index}: it could not be written ({e.Message})", e);
        }
    }

    /// <summary>Closes all files, and removes those that were not committed.</summary>
    public void Dispose() => writers.ForEach(writer => writer.Dispose());

    private SafetensorsWriter WriterOf(string tensor)
    {
        if (!shardOf.TryGetValue(tensor, out int shard) || shard < writers.Count - 1)
            throw new InvalidOperationException($"tensor '{tensor}' is not declared, or its file is complete");
        while (writers.Count <= shard)
            Start(writers.Count);
        return writers[^1];
    }

    // One shard after the other: a finished one waits, closed, for the commit.
    private void Start(int shard)
    {
        if (writers.Count > 0)
            writers[^1].Finish();
        writers.Add(new SafetensorsWriter(Path.Combine(folder, NameOf(shard)), shards[shard]));
    }

    private string NameOf(int shard) => shards.Count == 1 ? $"{name}.safetensors" : $"{name}-{shard + 1:00000}-of-{shards.Count:00000}.safetensors";

    private void WriteIndex(Stream stream)
    {
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteStartObject("metadata");
        json.WriteNumber("total_size", shards.Sum(shard => shard.Sum(tensor => tensor.ByteLength)));
        json.WriteEndObject();
        json.WriteStartObject("weight_map");
        foreach (var (tensor, shard) in shardOf.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            json.WriteString(tensor, NameOf(shard));
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
