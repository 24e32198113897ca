using DualSparse.Kernels.Threading;

namespace DualSparse.Models.Safetensors;

/// <summary>
/// A model folder, opened: its configuration, and its tensors in one <c>model.safetensors</c> or in the shards that
/// <c>model.safetensors.index.json</c> names. Every tensor that the configuration asks for is there, in its shape, as F32, BF16 or F16.
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    private readonly List<SafetensorsFile> files = [];
    private readonly Dictionary<string, TensorView> tensors = new(StringComparer.Ordinal);

    private Checkpoint(string folder, ModelConfig config) => (Folder, Config) = (folder, config);

    /// <summary>The folder's path.</summary>
    public string Folder { get; }

    /// <summary>The model's configuration, with the names of this checkpoint's tensors.</summary>
    public ModelConfig Config { get; private set; }

    /// <summary>The names of all tensors in the folder, needed or not.</summary>
    public IReadOnlyCollection<string> Names => tensors.Keys;

    /// <summary>Which tensors are there that nobody reads, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; private set; } = [];

    /// <summary>Opens a folder and checks that the weights are those which its configuration asks for. No weight is read yet.</summary>
    /// <exception cref="ModelFormatException">A file is missing or damaged, a tensor is missing or of another shape or type, or a layer has one too many.</exception>
    public static Checkpoint Open(string folder)
    {
        folder = ModelPath.Resolve(folder);
        var checkpoint = new Checkpoint(folder, ModelConfig.Load(folder));
        try
        {
            checkpoint.OpenFiles();
            checkpoint.Config = StoredNames.Find(checkpoint);
            foreach (var needed in checkpoint.Config.Tensors.All())
                checkpoint.Get(needed);
            checkpoint.Notes = UnusedTensors.Check(checkpoint);
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>A tensor by name, stored as F32, BF16 or F16; where a shape is given, the tensor must have it.</summary>
    /// <exception cref="ModelFormatException">There is no such tensor, or its shape or type is another.</exception>
    public TensorView Get(string name, params ReadOnlySpan<long> shape)
    {
        if (!tensors.TryGetValue(name, out var tensor))
            throw new ModelFormatException($"{Folder}: tensor '{name}' is missing{UnusedTensors.Instead(this, name)}");
        if (!shape.IsEmpty)
            tensor.Expect(shape);
        if (!tensor.Type.IsWeight())
            throw new ModelFormatException($"{tensor.File}: tensor '{name}' is stored as {tensor.Type.HeaderName()}, expected F32, BF16 or F16");
        return tensor;
    }

    /// <summary>A tensor that the configuration asks for.</summary>
    /// <exception cref="ModelFormatException">There is no such tensor, or its shape or type is another.</exception>
    public TensorView Get(TensorSpec tensor) => Get(tensor.Name, tensor.Shape);

    /// <summary>A matrix inside a tensor that the configuration asks for; its caller's to dispose.</summary>
    /// <param name="slice">Which.</param>
    /// <param name="team">Who helps to turn one that is stored transposed; null: the caller alone.</param>
    /// <exception cref="ModelFormatException">There is no such tensor, or its shape or type is another, or the file has become shorter.</exception>
    public WeightView Get(WeightSlice slice, ThreadTeam? team = null) => new(Get(slice.Tensor), slice, team);

    /// <summary>A tensor by name, whatever its type and shape; false where there is none.</summary>
    public bool TryGet(string name, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out TensorView? tensor) => tensors.TryGetValue(name, out tensor);

    /// <summary>Unmaps all files; their tensors must not be read any more.</summary>
    public void Dispose() => files.ForEach(file => file.Dispose());

    private void OpenFiles()
    {
        string single = Path.Combine(Folder, $"{Config.WeightsName}.safetensors"), index = Path.Combine(Folder, ShardIndex.NameOf(Config.WeightsName));
        if (ModelFile.Exists(single))
        {
            foreach (var (name, tensor) in Open(single).Tensors)
                tensors.Add(name, tensor);
            return;
        }

        if (!ModelFile.Exists(index))
            throw new ModelFormatException($"{Folder}: {(Config.Wiring == Wiring.Standard ? FolderKind.WithoutWeights(new FolderContents(Folder)) : $"config.json has '{WiringField.Name}', but there is neither '{Path.GetFileName(single)}' nor '{Path.GetFileName(index)}'")}");
        var shards = ShardIndex.Read(index);
        string[] names = [.. shards.Values.Distinct().Order(StringComparer.Ordinal)];
        if (names.Where(shard => !ModelFile.Exists(Path.Combine(Folder, shard))).ToArray() is [_, ..] missing)
            throw new ModelFormatException($"{index}: {FolderKind.WithoutShards(new FolderContents(Folder), missing, names.Length)}");
        var opened = names.ToDictionary(shard => shard, shard => Open(Path.Combine(Folder, shard)));
        foreach (var (name, shard) in shards)
        {
            if (!opened[shard].Tensors.TryGetValue(name, out var tensor))
                throw new ModelFormatException($"{index}: it says that tensor '{name}' is in '{shard}', which holds no such tensor");
            tensors.Add(name, tensor);
        }

        SafetensorsFile Open(string path)
        {
            var file = SafetensorsFile.Open(path);
            files.Add(file);
            return file;
        }
    }
}
