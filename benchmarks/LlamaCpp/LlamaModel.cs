using System.Reflection;
using System.Runtime.InteropServices;
using DualSparse.Kernels;
using LLama.Exceptions;
using LLama.Native;

namespace DualSparse.LlamaCpp;

/// <summary>A GGUF file in llama.cpp.</summary>
internal sealed class LlamaModel : IDisposable
{
    private static readonly List<string> s_errors = [];

    private static string? s_library;

    private readonly SafeLlamaModelHandle handle;
    private readonly WeightFormat weights;
    private readonly int threads;

    /// <summary>Loads a file.</summary>
    /// <exception cref="InvalidOperationException">llama.cpp refuses it.</exception>
    public LlamaModel(string path, WeightFormat weights, int threads)
    {
        (this.weights, this.threads) = (weights, threads);
        var settings = LLamaModelParams.Default();
        settings.n_gpu_layers = 0;
        try
        {
            handle = SafeLlamaModelHandle.LoadFromFile(path, settings);
        }
        catch (LoadWeightsFailedException e)
        {
            throw new InvalidOperationException($"llama.cpp can't load {path}: {string.Join(" ", s_errors.DefaultIfEmpty(e.Message))}", e);
        }
    }

    /// <summary>Which llama.cpp it is and what it says of its build: "LLamaSharp 0.30.0 (llama.cpp 815a2a5915f2): CPU : AVX2 = 1 | AVX512 = 1 | …".</summary>
    public static string Build
    {
        get
        {
            string origin = s_library is null ? typeof(LlamaModel).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key == "LLamaSharp").Value! : "a build of its own";
            string features = Marshal.PtrToStringUTF8(NativeApi.llama_print_system_info()) ?? "";
            return $"{origin}: {features.TrimEnd(' ', '|')}";
        }
    }

    /// <summary>Before anything is loaded: takes another build of llama.cpp, and keeps its log from the terminal.</summary>
    /// <param name="library">The path of libllama; null: the package's best for this processor.</param>
    /// <exception cref="InvalidOperationException">It can't be loaded.</exception>
    public static void Prepare(string? library)
    {
        s_library = library;
        if (library is not null)
            NativeLibraryConfig.LLama.WithLibrary(library);
        NativeLibraryConfig.All.WithLogCallback((level, message) =>
        {
            if (level == LLamaLogLevel.Error)
                s_errors.Add(message.Trim());
        });
        try
        {
            // The package's own loader runs at the first call of this class.
            NativeApi.llama_empty_call();
        }
        catch (Exception e) when (e is RuntimeError or TypeInitializationException or DllNotFoundException or EntryPointNotFoundException)
        {
            throw new InvalidOperationException(library is null
                ? "llama.cpp can't be loaded: the package has no library for this system, or one that it needs is missing"
                : $"{library} can't be loaded, expected a libllama with its libggml beside it", e);
        }
    }

    /// <summary>Empty texts.</summary>
    /// <param name="texts">Their number.</param>
    /// <param name="capacity">The longest, in tokens.</param>
    public LlamaTexts NewTexts(int texts, int capacity)
    {
        var settings = LLamaContextParams.Default();
        settings.n_seq_max = (uint)texts;
        settings.n_ctx = (uint)(texts * capacity);
        settings.n_batch = settings.n_ubatch = (uint)Math.Max(LlamaTexts.MostTokens, texts);
        settings.n_threads = settings.n_threads_batch = threads;
        if (weights == WeightFormat.F32)
            settings.type_k = settings.type_v = GGMLType.GGML_TYPE_F32;
        return new LlamaTexts(SafeLLamaContextHandle.Create(handle, settings));
    }

    public void Dispose() => handle.Dispose();
}
